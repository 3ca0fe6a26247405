import { setTimeout as sleep } from "node:timers/promises";
import { forgetBatch, readLiveBatches } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { TimedLock } from "@quern/shared/redis/timed-lock";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../events.ts";
import type { BatchQueue } from "../queue/batch-queue.ts";

const SWEEP_INTERVAL_MS = 2_000;
/** Each is looked for in the queue, which takes a few questions. */
const SWEEP_INTERVAL_MS_PER_BATCH = 10;
/** A submitter needs less than that from the record to the queue. */
const QUEUE_AFTER_MS = 5_000;
/** Likewise to the record, and clocks may be minutes apart. */
const FORGET_AFTER_MS = 600_000;

/**
 * Sees to it that every batch that is not over is in the queue of batches: its submitter died before, or Redis has lost it.
 * One of all schedulers does it at a time, to save work.
 */
export class BatchSweep {
  readonly #redis: Redis;
  readonly #queue: BatchQueue;
  readonly #lock: TimedLock;
  readonly #events: SchedulerEvents;

  constructor(redis: Redis, queue: BatchQueue, lock: TimedLock, events: SchedulerEvents) {
    this.#redis = redis;
    this.#queue = queue;
    this.#lock = lock;
    this.#events = events;
  }

  /** Resolves when `stop` is aborted and what was begun is done. */
  async run(stop: AbortSignal): Promise<void> {
    let sweepAtMs = Number.NEGATIVE_INFINITY;
    while (!stop.aborted) {
      try {
        // The lock is to be held on to, also where the next sweep is not due.
        const isOurs = await this.#lock.hold();
        if (isOurs && performance.now() >= sweepAtMs) {
          const batches = await this.#sweep(stop);
          sweepAtMs = performance.now() + SWEEP_INTERVAL_MS_PER_BATCH * batches;
        }
      } catch (error) {
        this.#events.redisError(error as Error);
      }
      await sleep(SWEEP_INTERVAL_MS, undefined, { signal: stop }).catch(() => {});
    }
    await this.#lock.release().catch(this.#events.redisError);
  }

  /** @returns how many batches there are. */
  async #sweep(stop: AbortSignal): Promise<number> {
    const nowMs = await redisNowMs(this.#redis);
    const batches = await readLiveBatches(this.#redis);
    for (const { id, createdAtMs, hasRecord } of batches) {
      if (stop.aborted) break;
      const ageMs = nowMs - createdAtMs;
      if (!hasRecord && ageMs >= FORGET_AFTER_MS) {
        await forgetBatch(this.#redis, id);
        this.#events.batchForgotten(id);
      } else if (hasRecord && ageMs >= QUEUE_AFTER_MS) {
        const { added } = await this.#queue.ensure(id);
        if (added) this.#events.batchQueued(id);
      }
    }
    return batches.length;
  }
}
