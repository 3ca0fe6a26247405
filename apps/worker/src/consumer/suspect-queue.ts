import { queuePrefix } from "@quern/shared/contract/names";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { readJobDemand } from "@quern/shared/redis/job-store";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";

/** Where the suspects of one model wait for an engine of their own. They are leased as from any queue (`LeaseQueue`). */
export class SuspectQueue {
  readonly #redis: Redis;
  readonly #waitKey: string;
  readonly #queue: Queue;

  constructor(redis: Redis, model: string, onError: (error: Error) => void) {
    this.#redis = redis;
    this.#waitKey = `${queuePrefix(model)}:suspects:wait`;
    this.#queue = new Queue("suspects", { connection: redis, prefix: queuePrefix(model) });
    this.#queue.on("error", onError);
  }

  /** One that is in there already stays where it is. */
  async add(jobId: string): Promise<void> {
    await this.#queue.add("generate", { jobId }, { jobId });
  }

  /** How long the next one has been a suspect; null: none waits. */
  async waitedMs(): Promise<number | null> {
    const next = await this.#redis.lindex(this.#waitKey, -1);
    if (next === null) return null;
    const { suspectSinceMs } = await readJobDemand(this.#redis, next);
    return suspectSinceMs === null ? 0 : (await redisNowMs(this.#redis)) - suspectSinceMs;
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}
