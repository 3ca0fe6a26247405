import { setTimeout as sleep } from "node:timers/promises";
import { isTerminal, type JobState } from "@quern/shared/contract/lifecycle";
import { jobKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";
import { LEASE_MS } from "./cluster.ts";
import type { Ledger } from "./ledger.ts";

const LOOK_INTERVAL_MS = 20;
/** No take-over takes so long; what has not ended by then, and runs on unharmed, was none. */
const WATCH_MS = 5 * LEASE_MS;

interface Running {
  state: JobState | null;
  attempt: number;
  parks: number;
  class: string | null;
  /** It waits for an engine of its own, which may take long. */
  isSuspect: boolean;
}

/** How long jobs that lost their attempt waited for the next one, by what took it. Milliseconds. */
export type Takeovers = Map<string, number[]>;

/**
 * Breaks something, and watches every job that ran at that moment until it has ended or begun another attempt. As a rule one
 * thing is broken at a time, so another attempt is a take-over of what was broken, but for jobs that were parked.
 * Batch jobs are passed over: they wait for interactive ones, however soon they could go on.
 * `onTakeover` is called at each.
 */
export async function measureTakeovers(
  { redis, ledger, takeovers }: { redis: Redis; ledger: Ledger; takeovers: Takeovers },
  kind: string,
  breakIt: () => Promise<void>,
  onTakeover: () => void = () => {},
): Promise<void> {
  const jobIds = [...ledger.entries.values()]
    .filter(({ terminalStates }) => terminalStates.length === 0)
    .map(({ jobId }) => jobId);
  const before = await lookAt(redis, jobIds);
  const watched = new Map(
    [...before].filter(([, { state, class: jobClass }]) => state === "running" && jobClass === "interactive"),
  );
  const brokenAtMs = performance.now();
  await breakIt();
  while (watched.size > 0 && performance.now() - brokenAtMs < WATCH_MS) {
    const now = await lookAt(redis, [...watched.keys()]);
    for (const [jobId, { state, attempt, parks, isSuspect }] of now) {
      const earlier = watched.get(jobId);
      if (state === null || isTerminal(state) || parks !== earlier?.parks || isSuspect) watched.delete(jobId);
      else if (attempt > earlier.attempt) {
        const waitedMs = Math.round(performance.now() - brokenAtMs);
        ledger.note("taken over", { job: jobId, kind, waitedMs, attempt });
        record(takeovers, kind, waitedMs);
        onTakeover();
        watched.delete(jobId);
      }
    }
    await sleep(LOOK_INTERVAL_MS);
  }
}

function record(takeovers: Takeovers, kind: string, ms: number): void {
  const times = takeovers.get(kind) ?? [];
  takeovers.set(kind, times);
  times.push(ms);
}

async function lookAt(redis: Redis, jobIds: string[]): Promise<Map<string, Running>> {
  const pipeline = redis.pipeline();
  for (const jobId of jobIds)
    pipeline.hmget(jobKey(jobId), "state", "attempt", "parks", "suspectSinceMs", "class");
  const replies = (await pipeline.exec()) ?? [];
  return new Map(
    jobIds.map((jobId, at) => {
      const [state = null, attempt, parks, suspectSinceMs, jobClass = null] = (replies[at]?.[1] ?? []) as (
        | string
        | null
      )[];
      const counts = { attempt: Number(attempt), parks: Number(parks) };
      const isSuspect = suspectSinceMs != null;
      return [jobId, { state: state as JobState | null, ...counts, class: jobClass, isSuspect }];
    }),
  );
}
