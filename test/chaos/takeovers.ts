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
}

/** How long jobs that lost their attempt waited for the next one, by what took it. Milliseconds. */
export type Takeovers = Map<string, number[]>;

/**
 * Breaks something, and watches every job that ran at that moment until it has ended or begun another attempt. Only one
 * thing is broken at a time, so another attempt is a take-over of what was broken.
 */
export async function measureTakeovers(
  { redis, ledger, takeovers }: { redis: Redis; ledger: Ledger; takeovers: Takeovers },
  kind: string,
  breakIt: () => Promise<void>,
): Promise<void> {
  const jobIds = [...ledger.entries.values()]
    .filter(({ terminalStates }) => terminalStates.length === 0)
    .map(({ jobId }) => jobId);
  const before = await lookAt(redis, jobIds);
  const watched = new Map([...before].filter(([, { state }]) => state === "running"));
  const brokenAtMs = performance.now();
  await breakIt();
  while (watched.size > 0 && performance.now() - brokenAtMs < WATCH_MS) {
    const now = await lookAt(redis, [...watched.keys()]);
    for (const [jobId, { state, attempt }] of now) {
      const isTakenOver = attempt > (watched.get(jobId)?.attempt ?? 0);
      if (isTakenOver) record(takeovers, kind, performance.now() - brokenAtMs);
      if (isTakenOver || state === null || isTerminal(state)) watched.delete(jobId);
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
  for (const jobId of jobIds) pipeline.hmget(jobKey(jobId), "state", "attempt");
  const replies = (await pipeline.exec()) ?? [];
  return new Map(
    jobIds.map((jobId, at) => {
      const [state, attempt] = (replies[at]?.[1] ?? []) as (string | null)[];
      return [jobId, { state: (state ?? null) as JobState | null, attempt: Number(attempt ?? 0) }];
    }),
  );
}
