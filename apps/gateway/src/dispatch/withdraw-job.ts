import type { NewJob } from "@quern/shared/contract/job";
import { CANCEL_CHANNEL } from "@quern/shared/contract/names";
import { withinLoopTime } from "@quern/shared/process/loop-time";
import { withdrawJob as withdrawRecord } from "@quern/shared/redis/erase-job";
import type { Redis } from "ioredis";
import type { JobQueues, QueuedJob } from "./job-queues.ts";
import { keepTrying } from "./keep-trying.ts";

/** Part of the second within which a caller is told that Redis is away; the submit itself may have taken 0.8 s of it. */
const WAIT_MS = 150;

/**
 * Takes a job back whose submit broke off, so that nothing runs for a caller who is told that it failed. Resolves when
 * that is done; with Redis away after a moment, and then it is tried on in the background, until `closing`.
 */
export async function withdrawJob(
  redis: Redis,
  queues: JobQueues,
  job: QueuedJob & Pick<NewJob, "tenant" | "deadlineAtMs">,
  closing: AbortSignal,
): Promise<void> {
  const withdrawn = keepTrying(async () => {
    const state = await withdrawRecord(redis, { ...job, deadlineAtMs: job.deadlineAtMs ?? null });
    if (state === "running") await redis.publish(CANCEL_CHANNEL, job.id);
    await queues.remove(job);
  }, closing);
  await withinLoopTime(WAIT_MS, withdrawn, () => new Error("Redis is away")).catch(() => {});
}
