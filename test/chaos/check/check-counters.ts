import { setTimeout as sleep } from "node:timers/promises";
import { type JobCounters, readJobCounters } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";

/** A scheduler that was killed last needs a few seconds to come back, sweep, and mend what it finds. */
const PATIENCE_MS = 60_000;
const POLL_INTERVAL_MS = 200;

/**
 * What is wrong with the tenant's ledger once all jobs that clients know of have ended: every accepted job must be
 * counted in one state, and none be left alive. More may be accepted than clients were told of, never fewer.
 */
export async function checkCounters(redis: Redis, acceptedByClients: number): Promise<string[]> {
  const untilMs = performance.now() + PATIENCE_MS;
  const wrong: string[] = [];
  let counters = await readJobCounters(redis, "default");
  for (
    ;
    counters.live > 0 && performance.now() < untilMs;
    counters = await readJobCounters(redis, "default")
  ) {
    if (!isBalanced(counters)) break;
    await sleep(POLL_INTERVAL_MS);
  }
  const shown = JSON.stringify(counters);
  if (!isBalanced(counters)) wrong.push(`the counters do not add up: ${shown}`);
  if (counters.live > 0) wrong.push(`${counters.live} jobs were never settled: ${shown}`);
  if (counters.accepted < acceptedByClients) {
    wrong.push(`${acceptedByClients} jobs were accepted, the counters know of fewer: ${shown}`);
  }
  return wrong;
}

function isBalanced({ accepted, completed, failed, cancelled, expired, live }: JobCounters): boolean {
  return accepted === completed + failed + cancelled + expired + live;
}
