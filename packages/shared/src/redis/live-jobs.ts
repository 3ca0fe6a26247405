import type { Redis } from "ioredis";
import { z } from "zod";
import { type Usage, usageSchema } from "../contract/generation.ts";
import { isTerminal, type JobState, type TerminalState } from "../contract/lifecycle.ts";
import { countersKey, jobKey, liveJobsKey, SETTLE_CHANNEL, TENANTS_KEY } from "../contract/names.ts";
import { loadScript, runScript } from "./script.ts";

/**
 * The ledger of accepted jobs. Each is in its tenant's index from before it is queued until what follows its end is
 * done (docs/decisions/0009-settlement.md), so that at every moment
 *
 *   accepted = completed + failed + cancelled + expired + live
 *
 * and a process that dies between a job's end and its settlement leaves an entry that the sweeper finds.
 */
const ENTER = loadScript("enter_live_job.lua");
const SETTLE = loadScript("settle_job.lua");
const DROP = loadScript("drop_live_job.lua");

export interface LiveJob {
  id: string;
  tenant: string;
}

/** How a job ended, as far as it is counted. */
export interface CountedEnd {
  state: TerminalState;
  usage: Usage | null;
}

/** Called when the record is written, before the job is queued: nothing queued is unknown to the ledger. */
export async function enterLiveJob(redis: Redis, { id, tenant }: LiveJob): Promise<void> {
  await Promise.all([redis.sadd(TENANTS_KEY, tenant), runScript(redis, ENTER, keysOf(tenant), [id])]);
}

/** Counts a job that has ended, once: `settled` says whether it was now. */
export async function settleJob(
  redis: Redis,
  { id, tenant }: LiveJob,
  { state, usage }: CountedEnd,
): Promise<{ settled: boolean }> {
  const args = [id, state, usage?.promptTokens ?? 0, usage?.completionTokens ?? 0];
  return { settled: (await runScript(redis, SETTLE, keysOf(tenant), args)) === 1 };
}

/**
 * What follows a job's end, for whoever ended it. The record says how it ended, and with how much: an end that is not
 * there counts nothing. A job with a webhook is settled by a scheduler, once the delivery is in its queue; word that gets
 * lost costs a moment, until the entry is found.
 */
export async function settleEnded(redis: Redis, { id, tenant }: LiveJob): Promise<void> {
  const [state, usage, webhook] = await redis.hmget(jobKey(id), "state", "usage", "webhook");
  if (state == null || !isTerminal(state as JobState)) return;
  if (webhook != null) {
    await redis.publish(SETTLE_CHANNEL, JSON.stringify({ id, tenant }));
    return;
  }
  const end = {
    state: state as TerminalState,
    usage: usage == null ? null : usageSchema.parse(JSON.parse(usage)),
  };
  await settleJob(redis, { id, tenant }, end);
}

const liveJobSchema = z.object({ id: z.string(), tenant: z.string() });

/** The Pub/Sub message of `settleEnded`. */
export function parseAsked(message: string): LiveJob {
  return liveJobSchema.parse(JSON.parse(message));
}

/** Forgets a job that has no record: its submitter died before it was queued, or its record expired unsettled. */
export async function dropLiveJob(redis: Redis, { id, tenant }: LiveJob): Promise<{ dropped: boolean }> {
  return { dropped: (await runScript(redis, DROP, keysOf(tenant), [id])) === 1 };
}

const count = z.coerce.number().int().default(0);
const countersSchema = z.object({
  accepted: count,
  completed: count,
  failed: count,
  cancelled: count,
  expired: count,
  prompt_tokens: count,
  completion_tokens: count,
});
export type JobCounters = z.infer<typeof countersSchema> & { live: number };

/** All of one moment: jobs since the tenant's first, tokens of the settled ones. */
export async function readJobCounters(redis: Redis, tenant: string): Promise<JobCounters> {
  const replies = await redis.multi().hgetall(countersKey(tenant)).zcard(liveJobsKey(tenant)).exec();
  const [counters, live] = (replies ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
  return { ...countersSchema.parse(counters), live: Number(live) };
}

function keysOf(tenant: string): string[] {
  return [liveJobsKey(tenant), countersKey(tenant)];
}
