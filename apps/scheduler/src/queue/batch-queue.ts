import { BATCH_QUEUE_NAME, BATCH_QUEUE_PREFIX } from "@quern/shared/contract/names";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";

/** Where batches wait for the scheduler that keeps them, as gateways fill it too: a job's id is its batch's, and its data `{ batchId }`. */
export class BatchQueue {
  readonly #queue: Queue;
  readonly #onError: (error: Error) => void;

  constructor(redis: Redis, onError: (error: Error) => void) {
    this.#onError = onError;
    this.#queue = new Queue(BATCH_QUEUE_NAME, { connection: redis, prefix: BATCH_QUEUE_PREFIX });
    this.#queue.on("error", onError);
  }

  /** Puts a batch in that is not there. One that BullMQ gave up would swallow a new one of the same id: it goes first. */
  async ensure(batchId: string): Promise<{ added: boolean }> {
    const job = await this.#queue.getJob(batchId);
    if (job !== undefined) {
      if (!(await job.isFailed()) && !(await job.isCompleted())) return { added: false };
      await job.remove();
    }
    await this.#queue.add(
      "keep",
      { batchId },
      { jobId: batchId, removeOnComplete: true, removeOnFail: true },
    );
    return { added: true };
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(this.#onError);
  }
}
