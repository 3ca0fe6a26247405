import { isTerminal } from "@quern/shared/contract/lifecycle";
import { readJob } from "@quern/shared/redis/job-store";
import { dropLiveJob, type LiveJob, settleJob } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../events.ts";
import type { DeliveryQueue } from "../queue/delivery-queue.ts";
import { webhookBody } from "../webhooks/webhook-body.ts";

/**
 * What follows a job's end, in an order that can be broken off anywhere and begun anew: the webhook is put into its
 * queue under the job's id, and then the job is taken out of the live ones and counted. A job that has not ended is
 * left alone.
 */
export async function settle(
  redis: Redis,
  deliveries: DeliveryQueue,
  events: SchedulerEvents,
  job: LiveJob,
): Promise<void> {
  const record = await readJob(redis, job.id);
  if (record === null) {
    const { dropped } = await dropLiveJob(redis, job);
    if (dropped) events.jobForgotten(job.id);
    return;
  }
  const { state, usage, webhook } = record;
  if (!isTerminal(state)) return;
  if (webhook?.status === "pending" && webhook.attempts === 0) {
    await deliveries.add(record.id, webhookBody(record), webhook);
  }
  const { settled } = await settleJob(redis, job, { state, usage });
  if (settled) events.jobSettled(job.id, state);
}
