import type { Redis } from "ioredis";
import type { JobRecord } from "../contract/job.ts";
import type { JobState } from "../contract/lifecycle.ts";
import { eventsKey, jobIndexKey, jobKey, webhookKey } from "../contract/names.ts";
import { dropDeadline } from "./deadlines.ts";
import { forgetKey } from "./idempotency.ts";
import { loadScript, runScript } from "./script.ts";

const ERASE = loadScript("erase_job.lua");

/** Longer than a submitter or a worker can be stopped and still have its connections. */
const LATECOMERS_SECONDS = 3_600;

/**
 * Erases all that Redis holds of a job: what was asked and answered, its events, its webhook, what it was known by. The references in
 * BullMQ's queues, which hold an id alone, are the caller's to remove, as is telling the worker of a running job.
 * @returns the state it was in; `gone`: there was no such job.
 */
export async function eraseJob(
  redis: Redis,
  job: Pick<JobRecord, "id" | "tenant" | "idempotencyKeyHash" | "deadlineAtMs">,
): Promise<JobState | "gone"> {
  // First, while a retry of an erasure that broke off can still read them from the record.
  await forgetKey(redis, job);
  await Promise.all([redis.zrem(jobIndexKey(job.tenant), job.id), dropDeadline(redis, job)]);
  const state = await runScript(
    redis,
    ERASE,
    [jobKey(job.id), eventsKey(job.id), webhookKey(job.id)],
    [LATECOMERS_SECONDS],
  );
  return state as JobState | "gone";
}
