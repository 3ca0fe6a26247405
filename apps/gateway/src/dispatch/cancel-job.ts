import type { NewJob } from "@quern/shared/contract/job";
import { CANCEL_CHANNEL } from "@quern/shared/contract/names";
import { dropDeadline } from "@quern/shared/redis/deadlines";
import { cancelJob as cancelRecord } from "@quern/shared/redis/job-store";
import { settleEnded } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import type { JobQueues, QueuedJob } from "./job-queues.ts";

/** Ends a queued job at once; tells the worker of a running one. An ended job stays as it is. */
export async function cancelJob(
  redis: Redis,
  queues: JobQueues,
  job: QueuedJob & Pick<NewJob, "tenant" | "deadlineAtMs">,
  retentionSeconds: number,
): Promise<void> {
  const outcome = await cancelRecord(redis, job.id, { retentionSeconds }, Date.now());
  if (outcome === "cancelled") {
    await queues.remove(job);
    // Best effort: an entry that stays drops out when it is due.
    await dropDeadline(redis, job).catch(() => {});
    // Likewise: a scheduler finds the job that stays unsettled.
    await settleEnded(redis, job).catch(() => {});
  }
  if (outcome === "asked") await redis.publish(CANCEL_CHANNEL, job.id);
}
