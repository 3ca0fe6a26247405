import { WEBHOOK_QUEUE_PREFIX } from "@quern/shared/contract/names";
import type { WebhookState } from "@quern/shared/contract/webhook";
import { storeDelivery } from "@quern/shared/redis/webhook-store";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { z } from "zod";

export const DELIVERY_QUEUE = "deliveries";
/** BullMQ asks the consumer's own function for the pause before each further attempt. */
const BACKOFF = { type: "schedule" };

/** A reference: what is delivered, and the job's own secret, stand with the job, and are gone when it is erased. So with a batch. */
export const deliverySchema = z.object({
  /** Or the batch's. */
  jobId: z.string(),
  url: z.string(),
  signer: z.enum(["job", "tenant"]),
});
export type QueuedDelivery = z.infer<typeof deliverySchema>;

/** Where the webhooks of ended jobs and batches wait to be delivered. */
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

  /** A job, or a batch, has one delivery: its id is theirs, and one that is in the queue already stays as it is. */
  async add(id: string, body: string, { url, signer }: WebhookState): Promise<void> {
    await storeDelivery(this.#redis, id, body);
    const delivery: QueuedDelivery = { jobId: id, url, signer };
    await this.#queue.add("deliver", delivery, {
      jobId: id,
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
