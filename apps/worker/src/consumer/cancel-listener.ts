import { CANCEL_CHANNEL } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";
import type { RunningJobs } from "./running-jobs.ts";

/**
 * Stops running jobs that somebody cancels. An announcement can be missed (the connection was away); the job's next
 * write of token events then tells it, so a cancel is late but never lost.
 */
export async function listenForCancels(subscriber: Redis, runningJobs: RunningJobs): Promise<void> {
  subscriber.on("message", (channel, jobId) => {
    if (channel === CANCEL_CHANNEL) runningJobs.stop(jobId, "cancelled");
  });
  await subscriber.subscribe(CANCEL_CHANNEL);
}
