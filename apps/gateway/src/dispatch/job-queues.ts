import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { QUEUE_NAME, queuePrefix } from "@quern/shared/contract/names";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";

/** Leaves a caller the rest of its second for the reply. */
const ENQUEUE_TIMEOUT_MS = 800;

/** The BullMQ queue of each model, opened when it is first needed. */
export class JobQueues {
  readonly #redis: Redis;
  readonly #onError: (error: Error) => void;
  readonly #queues = new Map<string, Queue>();

  /** `redis`: a connection that fails at once when Redis is away. */
  constructor(redis: Redis, onError: (error: Error) => void) {
    this.#redis = redis;
    this.#onError = onError;
  }

  /** Puts a reference to the job into its model's queue. A job that is in there already stays as it is. */
  async add(model: string, jobId: string): Promise<void> {
    const added = this.#queue(model).add("generate", { jobId }, { jobId });
    await withinMs(ENQUEUE_TIMEOUT_MS, added);
  }

  /** Best effort: a reference that stays finds its job ended, and is dropped then. */
  async remove(model: string, jobId: string): Promise<void> {
    await withinMs(ENQUEUE_TIMEOUT_MS, this.#queue(model).remove(jobId)).catch(() => {});
  }

  /** 1: it is the next one; null: it is not waiting. */
  async position(model: string, jobId: string): Promise<number | null> {
    // BullMQ pushes on the left and takes from the right.
    const waiting = `${queuePrefix(model)}:${QUEUE_NAME}:wait`;
    const replies = await this.#redis.multi().lpos(waiting, jobId, "RANK", -1).llen(waiting).exec();
    const [index, length] = (replies ?? []).map(([error, reply]) => {
      if (error) throw error;
      return reply as number | null;
    });
    return typeof index === "number" && typeof length === "number" ? length - index : null;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close().catch(this.#onError)));
  }

  #queue(model: string): Queue {
    // A queue that is opened while Redis is away never becomes ready.
    if (this.#redis.status !== "ready") throw away();
    const open = this.#queues.get(model);
    if (open !== undefined) return open;
    const queue = new Queue(QUEUE_NAME, { connection: this.#redis, prefix: queuePrefix(model) });
    queue.on("error", this.#onError);
    queue.waitUntilReady().catch(() => this.#queues.delete(model));
    this.#queues.set(model, queue);
    return queue;
  }
}

async function withinMs<Value>(timeoutMs: number, work: Promise<Value>): Promise<Value> {
  const timeout = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(timeoutMs, undefined, { signal: timeout.signal }).then(() => {
        throw away();
      }),
    ]);
  } finally {
    timeout.abort();
    work.catch(() => {});
  }
}

function away(): QuernError {
  return new QuernError("redis_unavailable", "the queue can't be reached just now; try again soon");
}
