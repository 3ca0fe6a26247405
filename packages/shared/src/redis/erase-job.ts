import type { Redis } from "ioredis";
import type { JobRecord } from "../contract/job.ts";
import type { JobState } from "../contract/lifecycle.ts";
import { eventsKey, jobIndexKey, jobKey, webhookKey } from "../contract/names.ts";
import { dropDeadline } from "./deadlines.ts";
import { forgetKey } from "./idempotency.ts";
import { dropLiveJob } from "./live-jobs.ts";
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
  return await eraseRecord(redis, job.id, "0");
}

/**
 * Withdraws a job that its submitter did not see accepted: whatever of it was written is erased, and what is still on its
 * way finds it gone. All commands are sent at once: to a Redis that is silent now they go behind those of the submit.
 * @returns the state it was in; `gone`: there was no such job.
 */
export async function withdrawJob(
  redis: Redis,
  job: Pick<JobRecord, "id" | "tenant" | "deadlineAtMs">,
): Promise<JobState | "gone"> {
  const [state] = await Promise.all([
    eraseRecord(redis, job.id, "1"),
    redis.zrem(jobIndexKey(job.tenant), job.id),
    dropDeadline(redis, job),
    dropLiveJob(redis, job),
  ]);
  return state;
}

async function eraseRecord(redis: Redis, jobId: string, evenIfNone: "0" | "1"): Promise<JobState | "gone"> {
  const keys = [jobKey(jobId), eventsKey(jobId), webhookKey(jobId)];
  return (await runScript(redis, ERASE, keys, [LATECOMERS_SECONDS, evenIfNone])) as JobState | "gone";
}
