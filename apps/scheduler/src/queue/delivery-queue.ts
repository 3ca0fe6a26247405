import type { JobRecord } from "@quern/shared/contract/job";
import { WEBHOOK_QUEUE_PREFIX } from "@quern/shared/contract/names";
import { keepWebhookSecret } from "@quern/shared/redis/webhook-store";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { z } from "zod";
import { webhookBody } from "../webhooks/webhook-body.ts";

export const DELIVERY_QUEUE = "deliveries";
/** BullMQ asks the consumer's own function for the pause before each further attempt. */
const BACKOFF = { type: "schedule" };

/** All that is needed to deliver, also when the job is not kept any more. */
export const deliverySchema = z.object({
  jobId: z.string(),
  url: z.string(),
  body: z.string(),
  /** Whose secret signs. The secret itself stays where it is. */
  signer: z.enum(["job", "tenant"]),
});
export type QueuedDelivery = z.infer<typeof deliverySchema>;

/** Where the webhooks of ended jobs wait to be delivered. */
export class DeliveryQueue {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #retrySeconds: readonly number[];
  readonly #onError: (error: Error) => void;

  constructor(redis: Redis, retrySeconds: readonly number[], onError: (error: Error) => void) {
    this.#redis = redis;
    this.#retrySeconds = retrySeconds;
    this.#onError = onError;
    this.#queue = new Queue(DELIVERY_QUEUE, { connection: redis, prefix: WEBHOOK_QUEUE_PREFIX });
    this.#queue.on("error", onError);
  }

  /** A job has one delivery: its id is the job's, and one that is in the queue already stays as it is. */
  async add(record: JobRecord, url: string): Promise<void> {
    const { kept } = await keepWebhookSecret(this.#redis, record.id);
    const delivery: QueuedDelivery = {
      jobId: record.id,
      url,
      body: webhookBody(record),
      signer: kept ? "job" : "tenant",
    };
    await this.#queue.add("deliver", delivery, {
      jobId: record.id,
      attempts: this.#retrySeconds.length,
      delay: (this.#retrySeconds[0] ?? 0) * 1_000,
      backoff: BACKOFF,
      // Long enough for a scheduler that died before it settled the job to find the delivery done.
      removeOnComplete: { age: 3_600, count: 1_000 },
      removeOnFail: { age: 86_400, count: 1_000 },
    });
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(this.#onError);
  }
}
