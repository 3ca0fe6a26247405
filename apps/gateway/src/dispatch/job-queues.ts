import { QuernError } from "@quern/shared/contract/errors";
import { type JobRecord, queueOf } from "@quern/shared/contract/job";
import { BATCH_QUEUE_NAME, BATCH_QUEUE_PREFIX, queuePrefix } from "@quern/shared/contract/names";
import { withinLoopTime } from "@quern/shared/process/loop-time";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";

/**
 * How long a queue may take to open: a connection that is lost meanwhile never makes it ready. Leaves a caller the rest
 * of its second for the reply. Commands of an open queue have the connection's own time limit.
 */
const OPEN_TIMEOUT_MS = 800;

/** What says in which queue a job waits. */
export type QueuedJob = Pick<JobRecord, "id" | "model" | "class"> &
  Partial<Pick<JobRecord, "suspectSinceMs">>;

/** The BullMQ queues of each model, and the one of batches, each opened when it is first needed. */
export class JobQueues {
  readonly #redis: Redis;
  readonly #onError: (error: Error) => void;
  readonly #queues = new Map<string, Queue>();

  /** `redis`: a connection that fails at once when Redis is away. */
  constructor(redis: Redis, onError: (error: Error) => void) {
    this.#redis = redis;
    this.#onError = onError;
  }

  /** Puts a reference to the job into its queue. A job that is in there already stays as it is. */
  async add(job: QueuedJob): Promise<void> {
    const queue = await this.#queueOf(job);
    await queue.add("generate", { jobId: job.id }, { jobId: job.id });
  }

  /** Puts a batch into the queue of batches, from which a scheduler takes it. */
  async addBatch(batchId: string): Promise<void> {
    const queue = await this.#queue(BATCH_QUEUE_NAME, BATCH_QUEUE_PREFIX);
    await queue.add("keep", { batchId }, { jobId: batchId, removeOnComplete: true, removeOnFail: true });
  }

  /** Best effort: a reference that stays finds its job ended, and is dropped then. */
  async remove(job: QueuedJob): Promise<void> {
    try {
      const queue = await this.#queueOf(job);
      await queue.remove(job.id);
    } catch {}
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close().catch(this.#onError)));
  }

  #queueOf(job: QueuedJob): Promise<Queue> {
    return this.#queue(queueOf(job), queuePrefix(job.model));
  }

  /** @throws QuernError `redis_unavailable` */
  async #queue(name: string, prefix: string): Promise<Queue> {
    // A queue that is opened while Redis is away never becomes ready.
    if (this.#redis.status !== "ready") throw away();
    const queue = this.#opened(name, prefix);
    await withinLoopTime(OPEN_TIMEOUT_MS, queue.waitUntilReady(), away);
    return queue;
  }

  #opened(name: string, prefix: string): Queue {
    const key = `${prefix}:${name}`;
    const open = this.#queues.get(key);
    if (open !== undefined) return open;
    const queue = new Queue(name, { connection: this.#redis, prefix });
    queue.on("error", this.#onError);
    queue.waitUntilReady().catch(() => this.#queues.delete(key));
    this.#queues.set(key, queue);
    return queue;
  }
}

function away(): QuernError {
  return new QuernError("redis_unavailable", "the queue can't be reached just now; try again soon");
}
