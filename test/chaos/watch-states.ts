import { setTimeout as sleep } from "node:timers/promises";
import { isTerminal, type JobState } from "@quern/shared/contract/lifecycle";
import { jobKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";
import type { Ledger, LedgerEntry } from "./ledger.ts";

const WATCH_INTERVAL_MS = 500;
const BATCH = 500;

/** Looks at every accepted job again and again, also after its end: a terminal state must never change. */
export async function watchStates(redis: Redis, ledger: Ledger, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await lookAtAll(redis, ledger).catch(() => {});
    await sleep(WATCH_INTERVAL_MS, undefined, { signal: stop }).catch(() => {});
  }
}

async function lookAtAll(redis: Redis, ledger: Ledger): Promise<void> {
  const entries = [...ledger.entries.values()];
  for (let at = 0; at < entries.length; at += BATCH) {
    const batch = entries.slice(at, at + BATCH);
    // What a client hears of while the reply is on its way may be younger than the reply.
    const wasEnded = batch.map(({ terminalStates }) => terminalStates.length > 0);
    const states = await statesOf(redis, batch);
    for (const [position, entry] of batch.entries()) {
      const state = states[position] ?? null;
      if (state !== null && isTerminal(state)) ledger.terminal(entry, state);
      else if (wasEnded[position]) ledger.terminal(entry, state ?? "gone");
    }
  }
}

async function statesOf(redis: Redis, entries: LedgerEntry[]): Promise<(JobState | null)[]> {
  const pipeline = redis.pipeline();
  for (const { jobId } of entries) pipeline.hget(jobKey(jobId), "state");
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, state]) => {
    if (error) throw error;
    return state as JobState | null;
  });
}
