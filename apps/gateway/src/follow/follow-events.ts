import { compareEventIds, type NumberedTokenEvent } from "@quern/shared/contract/token-event";
import { parseAnnouncement, readEvents } from "@quern/shared/redis/event-stream";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";
import type { EventHub } from "./event-hub.ts";

/** Read the stream anew this often when nothing is heard: should an announcement ever be lost, this is the delay. */
const QUIET_READ_INTERVAL_MS = 5_000;
const REDIS_RETRY_INTERVAL_MS = 250;

/**
 * The events of a job after `afterId`, from the past into the future, each once and in order, up to `end` or until
 * `signal` aborts. Redis may go away and come back meanwhile. A follower that does not ask for more holds nothing.
 */
export async function* followEvents(
  hub: EventHub,
  redis: Redis,
  jobId: string,
  afterId: string | null,
  signal: AbortSignal,
): AsyncGenerator<NumberedTokenEvent, void, undefined> {
  // First listen, then read: what is written in between is heard, and dropped as known.
  await using listener = await hub.listen(jobId);
  let lastId = afterId;
  let behind = true;
  while (!signal.aborted) {
    const heard = listener.take();
    const events = behind || heard === null ? null : continuation(lastId, heard);
    if (events === null) {
      try {
        for (const numbered of await readEvents(redis, jobId, lastId)) {
          yield numbered;
          if (numbered.event.type === "end") return;
          lastId = numbered.id;
        }
        behind = false;
      } catch (error) {
        if (!isRedisAway(error)) throw error;
        await listener.heard(REDIS_RETRY_INTERVAL_MS, signal);
        continue;
      }
    } else {
      for (const numbered of events) {
        yield numbered;
        if (numbered.event.type === "end") return;
        lastId = numbered.id;
      }
    }
    if (!behind) {
      const quietSinceMs = performance.now();
      await listener.heard(QUIET_READ_INTERVAL_MS, signal);
      behind = performance.now() - quietSinceMs >= QUIET_READ_INTERVAL_MS;
    }
  }
}

/** The announced events that follow on `lastId`; null when there is a gap, which only the stream can fill. */
function continuation(lastId: string | null, announcements: string[]): NumberedTokenEvent[] | null {
  const events: NumberedTokenEvent[] = [];
  let last = lastId;
  for (const announcement of announcements) {
    const numbered = parseAnnouncement(announcement);
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
