import { BATCH_SWEEP_LOCK_KEY } from "@quern/shared/contract/names";
import { TimedLock } from "@quern/shared/redis/timed-lock";
import type { Redis } from "ioredis";
import { BatchConsumer } from "../queue/batch-consumer.ts";
import { BatchQueue } from "../queue/batch-queue.ts";
import { BatchSweep } from "./batch-sweep.ts";
import { Feeders } from "./feed/feeders.ts";
import type { FeedContext } from "./feed/model-feeder.ts";
import { ServedModels } from "./feed/served-models.ts";
import type { KeepContext } from "./keep/keeping.ts";

/** How long a scheduler that vanished keeps the others from looking for batches that are in no queue. */
const SWEEP_LOCK_TTL_MS = 5_000;

export interface BatchDutiesOptions
  extends Omit<KeepContext, "isCrowded" | "fleet">,
    Pick<FeedContext, "weightOf" | "lookaheadLines"> {
  subscriber: Redis;
}

/** All that a scheduler does for batches: it keeps those that it has a lease of, feeds models, and looks for lost ones. */
export class BatchDuties {
  readonly #consumer: BatchConsumer;
  readonly #queue: BatchQueue;
  readonly #sweep: BatchSweep;
  readonly #feeders: Feeders;

  constructor(options: BatchDutiesOptions) {
    const { redis, subscriber, events } = options;
    const models = new ServedModels(redis);
    this.#consumer = new BatchConsumer({ ...options, fleet: models });
    this.#queue = new BatchQueue(redis, events.redisError);
    const lock = new TimedLock(redis, BATCH_SWEEP_LOCK_KEY, SWEEP_LOCK_TTL_MS);
    this.#sweep = new BatchSweep(redis, this.#queue, lock, events);
    this.#feeders = new Feeders({ ...options, models }, subscriber);
  }

  /** Resolves when batches are being taken. */
  async start(): Promise<void> {
    await Promise.all([this.#feeders.listen(), this.#consumer.start()]);
  }

  /** Resolves when `stop` is aborted and what was begun is done, or handed back. */
  async run(stop: AbortSignal): Promise<void> {
    await Promise.all([this.#sweep.run(stop), this.#feeders.run(stop)]);
  }

  async drain(): Promise<void> {
    await this.#consumer.drain();
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
