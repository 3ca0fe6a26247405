import { setTimeout as sleep } from "node:timers/promises";
import { BATCH_QUEUE_NAME, BATCH_QUEUE_PREFIX } from "@quern/shared/contract/names";
import { DelayedError, type Job, WaitingError, Worker } from "bullmq";
import { z } from "zod";
import { keepBatch } from "../batches/keep/keep-batch.ts";
import { type KeepContext, KeepingLost, KeepingRests } from "../batches/keep/keeping.ts";

/** One of which no line is under way costs a look into Redis every two seconds, any other one a few a second. */
const CONCURRENT_BATCHES = 1_000;
/** When there are more, those without a line under way take turns to be looked at. */
const REST_MS = 5_000;
/** A scheduler that vanished keeps its batches so long, and others look for such ones so often. Two that keep one do no harm: they are fenced. */
const LEASE_MS = 6_000;
const STALLED_CHECK_INTERVAL_MS = 2_000;
/** BullMQ *fails* a job that stalls more often. The sweep would put it in again. */
const MAX_STALLED = 1_000;
const DRAIN_DELAY_SECONDS = 1;
/** A worker that hands jobs back before it is closing takes them again. */
const CLOSING_MS = 50;
/** What could not be kept, such as for want of room on a disk, is tried again so much later, here or elsewhere. */
const RETRY_BROKEN_AFTER_MS = 5_000;

const queuedBatchSchema = z.object({ batchId: z.string() });

/** Keeps batches: each is leased by one scheduler at a time, for as long as it lasts, or the scheduler does. */
export class BatchConsumer {
  readonly #context: KeepContext;
  readonly #worker: Worker;
  /** Of the batches that are being kept: aborts when one has to be let go. */
  readonly #kept = new Map<string, { letGo: AbortController; ended: Promise<void> }>();

  /** @param concurrency how many batches it keeps at a time. */
  constructor(context: Omit<KeepContext, "isCrowded">, concurrency: number = CONCURRENT_BATCHES) {
    this.#context = { ...context, isCrowded: () => this.#kept.size >= concurrency };
    const { redis, events } = context;
    this.#worker = new Worker(BATCH_QUEUE_NAME, (job: Job, token?: string) => this.#process(job, token), {
      connection: redis,
      prefix: BATCH_QUEUE_PREFIX,
      concurrency,
      autorun: false,
      lockDuration: LEASE_MS,
      stalledInterval: STALLED_CHECK_INTERVAL_MS,
      maxStalledCount: MAX_STALLED,
      drainDelay: DRAIN_DELAY_SECONDS,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    this.#worker.on("error", events.redisError);
    this.#worker.on("lockRenewalFailed", (batchIds: string[]) => {
      for (const id of batchIds) this.#kept.get(id)?.letGo.abort();
    });
  }

  /** Resolves when batches are being taken. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    void this.#worker.run().catch(this.#context.events.redisError);
  }

  /** Takes nothing new, and hands back what it has. With Redis away that lapses. */
  async drain(): Promise<void> {
    const isAway = this.#context.redis.status !== "ready";
    const closed = this.#worker.close(isAway);
    await sleep(CLOSING_MS);
    for (const { letGo } of this.#kept.values()) letGo.abort();
    await closed;
  }

  async #process(job: Job, token: string | undefined): Promise<void> {
    const { batchId } = queuedBatchSchema.parse(job.data);
    // Its lease had lapsed, and here it is again.
    const before = this.#kept.get(batchId);
    before?.letGo.abort();
    await before?.ended;

    const letGo = new AbortController();
    const ended = Promise.withResolvers<void>();
    const entry = { letGo, ended: ended.promise };
    this.#kept.set(batchId, entry);
    try {
      await keepBatch(this.#context, batchId, letGo.signal);
    } catch (error) {
      await this.#putBack(job, token, error as Error, letGo.signal);
    } finally {
      if (this.#kept.get(batchId) === entry) this.#kept.delete(batchId);
      ended.resolve();
    }
  }

  /** @throws what BullMQ knows to mean that the job is back in its queue. */
  async #putBack(job: Job, token: string | undefined, error: Error, letGo: AbortSignal): Promise<never> {
    if (letGo.aborted || error instanceof KeepingLost) {
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const rests = error instanceof KeepingRests;
    if (!rests) this.#context.events.batchBroke(job.data.batchId, error, RETRY_BROKEN_AFTER_MS);
    await job.moveToDelayed(Date.now() + (rests ? REST_MS : RETRY_BROKEN_AFTER_MS), token);
    throw new DelayedError();
  }
}
