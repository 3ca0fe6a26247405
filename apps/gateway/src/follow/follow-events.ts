import { QuernError } from "@quern/shared/contract/errors";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import { compareEventIds, type NumberedTokenEvent } from "@quern/shared/contract/token-event";
import { readEventsPage } from "@quern/shared/redis/event-stream";
import { readJobState } from "@quern/shared/redis/job-store";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";
import type { Announcement } from "./announcement.ts";
import type { EventHub } from "./event-hub.ts";

/** Read the stream anew this often when nothing is heard: should an announcement ever be lost, this is the delay. */
const QUIET_READ_INTERVAL_MS = 5_000;
const REDIS_RETRY_INTERVAL_MS = 250;
/** All that a follower whose reader is slow holds of a long stream. */
const PAGE_EVENTS = 64;

/**
 * The events of a job after `afterId`, from the past into the future, each once and in order, up to `end` or until
 * `signal` aborts. Redis may go away and come back meanwhile. They are to be read only: other followers have them too.
 * A job that is erased ends with an `end` that says `cancelled`.
 * @throws QuernError `events_expired` when the job has ended and its events are no longer kept.
 */
export async function* followEvents(
  hub: EventHub,
  redis: Redis,
  jobId: string,
  afterId: string | null,
  signal: AbortSignal,
): AsyncGenerator<NumberedTokenEvent, void, undefined> {
  for await (const page of followPages(hub, redis, jobId, afterId, signal)) yield* page;
}

/**
 * Likewise, as many at a time as there are; never none. A follower that does not ask for more holds one page, of 64
 * events from the stream or 256 announced ones.
 */
export async function* followPages(
  hub: EventHub,
  redis: Redis,
  jobId: string,
  afterId: string | null,
  signal: AbortSignal,
): AsyncGenerator<NumberedTokenEvent[], void, undefined> {
  // First listen, then read: what is written in between is heard, and dropped as known.
  await using listener = await hub.listen(jobId, signal);
  let lastId = afterId;
  let behind = true;
  while (!listener.stopped) {
    const heard = listener.take();
    let page: NumberedTokenEvent[] | null = behind || heard === null ? null : continuation(lastId, heard);
    if (page === null) {
      try {
        const readFrom = lastId;
        page = await hub.pages.read(jobId, readFrom, () => readOn(redis, jobId, readFrom));
      } catch (error) {
        if (!isRedisAway(error)) throw error;
        behind = true;
        await listener.heard(REDIS_RETRY_INTERVAL_MS);
        continue;
      }
      behind = page.length === PAGE_EVENTS;
    }
    const last = page.at(-1);
    if (last !== undefined) {
      yield page;
      if (last.event.type === "end") return;
      lastId = last.id;
    }
    if (!behind) {
      const quietSinceMs = performance.now();
      await listener.heard(QUIET_READ_INTERVAL_MS);
      behind = performance.now() - quietSinceMs >= QUIET_READ_INTERVAL_MS;
    }
  }
}

/** The next page of the stream. Where there is none the record is asked whether one may still come. */
async function readOn(redis: Redis, jobId: string, lastId: string | null): Promise<NumberedTokenEvent[]> {
  const page = await readEventsPage(redis, jobId, lastId, PAGE_EVENTS);
  if (page.length > 0) return page;
  const state = await readJobState(redis, jobId);
  if (state === null) return [erasedEnd(lastId)];
  if (!isTerminal(state)) return [];
  // It may have ended just after the page was read.
  const last = await readEventsPage(redis, jobId, lastId, PAGE_EVENTS);
  if (last.length === 0) throw eventsExpired(jobId);
  return last;
}

function erasedEnd(lastId: string | null): NumberedTokenEvent {
  const [attempt = "0", seq = "0"] = (lastId ?? "0-0").split("-");
  return {
    id: `${attempt}-${Number(seq) + 1}`,
    event: { type: "end", data: { status: "cancelled", usage: null, finish_reason: null } },
  };
}

export function eventsExpired(jobId: string): QuernError {
  return new QuernError(
    "events_expired",
    `the events of ${jobId} are no longer kept; its result is at /v1/jobs/${jobId}`,
  );
}

/** The announced events that follow on `lastId`; null when there is a gap, which only the stream can fill. */
function continuation(
  lastId: string | null,
  announcements: readonly Announcement[],
): NumberedTokenEvent[] | null {
  const events: NumberedTokenEvent[] = [];
  let last = lastId;
  for (const { numbered } of announcements) {
    if (last !== null && compareEventIds(numbered.id, last) <= 0) continue;
    if (last === null || !isNext(last, numbered.id)) return null;
    events.push(numbered);
    last = numbered.id;
  }
  return events;
}

/** Events are numbered over all attempts, and an earlier attempt is silent once a later one speaks. */
function isNext(last: string, id: string): boolean {
  return seqOf(id) === seqOf(last) + 1;
}

function seqOf(id: string): number {
  return Number(id.slice(id.indexOf("-") + 1));
}
