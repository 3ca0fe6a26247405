import { setTimeout as sleep } from "node:timers/promises";
import { BATCH_CHANNEL, feederLockKey } from "@quern/shared/contract/names";
import { liveBatchIds, readBatch, readBatchStatuses } from "@quern/shared/redis/batch-store";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import { TimedLock } from "@quern/shared/redis/timed-lock";
import type { Redis } from "ioredis";
import type { FeedBatch } from "./feed-batch.ts";
import { type FeedContext, ModelFeeder } from "./model-feeder.ts";

/** How late a batch is found of which no word was heard. */
const REFRESH_INTERVAL_MS = 1_000;
/** How long a scheduler that vanished keeps the others from feeding its models. */
const LOCK_TTL_MS = 5_000;

interface RunningFeeder {
  feeder: ModelFeeder;
  stop: AbortController;
  ended: Promise<void>;
}

/** A feeder for each model that has batches in progress. */
export class Feeders {
  readonly #context: FeedContext;
  readonly #subscriber: Redis;
  /** Batches in progress, by id. */
  readonly #batches = new Map<string, FeedBatch>();
  /** By model. */
  readonly #running = new Map<string, RunningFeeder>();
  #heard = Promise.withResolvers<void>();

  constructor(context: FeedContext, subscriber: Redis) {
    this.#context = context;
    this.#subscriber = subscriber;
  }

  /** Resolves when it hears of batches that change. */
  async listen(): Promise<void> {
    this.#subscriber.on("message", (channel) => {
      if (channel === BATCH_CHANNEL) this.#heard.resolve();
    });
    await this.#subscriber.subscribe(BATCH_CHANNEL);
  }

  /** Resolves when `stop` is aborted and all feeders have let go of their models. */
  async run(stop: AbortSignal): Promise<void> {
    let why: "time" | "word" = "time";
    while (!stop.aborted) {
      this.#heard = Promise.withResolvers();
      await this.#refresh(why).catch(this.#context.events.redisError);
      why = await this.#rest(stop);
    }
    for (const { stop: end } of this.#running.values()) end.abort();
    await Promise.all(Array.from(this.#running.values(), ({ ended }) => ended));
  }

  /** `word`: somebody said that a batch has changed, and feeders look at theirs at once. */
  async #refresh(why: "time" | "word"): Promise<void> {
    await this.#findBatches();
    const byModel = Map.groupBy(this.#batches.values(), ({ model }) => model);
    for (const [model, { feeder, stop }] of this.#running) {
      const batches = byModel.get(model);
      if (batches === undefined) stop.abort();
      else feeder.set(batches);
      if (why === "word") feeder.wake();
    }
    for (const [model, batches] of byModel) if (!this.#running.has(model)) this.#start(model, batches);
  }

  async #findBatches(): Promise<void> {
    const { redis } = this.#context;
    const ids = await liveBatchIds(redis);
    const statuses = await readBatchStatuses(redis, ids);
    const running = new Set(ids.filter((_, at) => statuses[at] === "in_progress"));
    for (const id of this.#batches.keys()) if (!running.has(id)) this.#batches.delete(id);
    for (const id of running) {
      if (this.#batches.has(id)) continue;
      const batch = await readBatch(redis, id).catch((error: unknown) => {
        if (isRedisAway(error)) throw error;
        // A record that nobody here can read, as of another version: its keeper tells of it, and others are fed.
        return null;
      });
      const model = batch?.model ?? null;
      if (batch !== null && model !== null) this.#batches.set(id, { ...batch, model });
    }
  }

  #start(model: string, batches: FeedBatch[]): void {
    const { redis } = this.#context;
    const stop = new AbortController();
    const feeder = new ModelFeeder(
      this.#context,
      model,
      new TimedLock(redis, feederLockKey(model), LOCK_TTL_MS),
    );
    feeder.set(batches);
    const ended = feeder.run(stop.signal).finally(() => this.#running.delete(model));
    this.#running.set(model, { feeder, stop, ended });
  }

  async #rest(stop: AbortSignal): Promise<"time" | "word"> {
    const rested = new AbortController();
    const signal = AbortSignal.any([stop, rested.signal]);
    const pause = sleep(REFRESH_INTERVAL_MS, "time" as const, { signal }).catch(() => "time" as const);
    const why = await Promise.race([pause, this.#heard.promise.then(() => "word" as const)]);
    rested.abort();
    return why;
  }
}
