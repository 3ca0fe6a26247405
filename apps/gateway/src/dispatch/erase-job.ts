import type { JobRecord } from "@quern/shared/contract/job";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import { CANCEL_CHANNEL } from "@quern/shared/contract/names";
import { eraseJob as eraseRecord } from "@quern/shared/redis/erase-job";
import { settleJob } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import type { JobQueues } from "./job-queues.ts";

/**
 * Erases a job at once, whatever its state. Nothing that its worker still writes is kept; it is told to stop, and would
 * notice at its next write.
 */
export async function eraseJob(redis: Redis, queues: JobQueues, job: JobRecord): Promise<void> {
  const state = await eraseRecord(redis, job);
  if (state === "running") await redis.publish(CANCEL_CHANNEL, job.id);
  await queues.remove(job);
  if (state === "gone") return;
  // It was accepted, so it is counted; what its worker has not told yet is not. A scheduler finds no record to count by.
  const end = { state: isTerminal(state) ? state : ("cancelled" as const), usage: job.usage };
  await settleJob(redis, job, end);
}
