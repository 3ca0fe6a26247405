import { setTimeout as sleep } from "node:timers/promises";
import { type JobCounters, readJobCounters } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import { LEASE_MS } from "../cluster.ts";

const TENANT = "default";
const LOOK_INTERVAL_MS = 200;
/** The sweeper's lock lapses, and it looks at each live job once a while. */
const SETTLE_MS = 10 * LEASE_MS;
const STATES = ["completed", "failed", "cancelled", "expired"] as const;

/**
 * Quern's own books against the clients': once all has ended nothing is live, and each state was counted once for each
 * job. Jobs whose submission was never answered may be in its books and not in theirs. One line for each difference.
 */
export async function checkCounters(
  redis: Redis,
  byState: Record<string, number>,
  unanswered: number,
): Promise<string[]> {
  const counters = await settledCounters(redis);
  const { accepted, live } = counters;
  const ended = STATES.reduce((sum, state) => sum + counters[state], 0);
  const lines = [];
  if (live > 0) lines.push(`${live} jobs are live in Quern's books when all have ended`);
  if (accepted !== ended + live) lines.push(`Quern's books don't add up: ${JSON.stringify(counters)}`);
  for (const state of STATES) {
    const known = byState[state] ?? 0;
    if (counters[state] < known || counters[state] > known + unanswered) {
      lines.push(`${known} jobs are ${state}, and ${counters[state]} in Quern's books`);
    }
  }
  return lines;
}

async function settledCounters(redis: Redis): Promise<JobCounters> {
  const giveUpAtMs = performance.now() + SETTLE_MS;
  for (;;) {
    const counters = await readJobCounters(redis, TENANT);
    if (counters.live === 0 || performance.now() > giveUpAtMs) return counters;
    await sleep(LOOK_INTERVAL_MS);
  }
}
