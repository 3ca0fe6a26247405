import { setInterval } from "node:timers";
import type { QueueName } from "@quern/shared/contract/job";
import { queuePrefix } from "@quern/shared/contract/names";
import { type Job, Worker } from "bullmq";
import type { Redis } from "ioredis";

/** Of a lease's length: two renewals may fail before it lapses. */
const RENEWALS_PER_LEASE = 3;
/** How often the workers of a queue look for lapsed leases, at most. */
const STALLED_CHECK_INTERVAL_MS = 5_000;
/** A wake-up can be swallowed by a worker that is stopped just then: look into the queue each second anyway. */
const LISTEN_SECONDS = 1;
/** BullMQ marks jobs that stalled more often as failed, a mark that only its own loop obeys: `claim_job.lua` counts here. */
const MAX_STALLED = Number.MAX_SAFE_INTEGER;

/** The timed right to run a job: BullMQ's lock, renewed until the lease is given up in one of two ways. */
export interface Lease {
  readonly jobId: string;
  /** Aborted when the lease has lapsed unnoticed: somebody else may have the job. */
  readonly lost: AbortSignal;
  /** The queue forgets the job. */
  end(): Promise<void>;
  /** Back to the front of its queue. */
  handBack(): Promise<void>;
}

export interface LeaseQueueOptions {
  redis: Redis;
  model: string;
  name: QueueName;
  leaseMs: number;
  onError: (error: Error) => void;
}

/**
 * One BullMQ queue as a worker sees it: jobs are leased one by one, when there is room for them, and never ahead.
 * Leases are told apart by their tokens, so a job that comes back to us after its lease lapsed has a lease of its own.
 */
export class LeaseQueue implements AsyncDisposable {
  readonly #options: LeaseQueueOptions;
  readonly #worker: Worker;
  /** By token. */
  readonly #held = new Map<string, { job: Job; lost: AbortController }>();
  readonly #renewal: NodeJS.Timeout;
  #nextToken = 1;

  constructor(options: LeaseQueueOptions) {
    const { redis, model, name, leaseMs, onError } = options;
    this.#options = options;
    // Without a processor it runs no loop of its own, and renews no locks.
    this.#worker = new Worker(name, null, {
      connection: redis,
      prefix: queuePrefix(model),
      lockDuration: leaseMs,
      stalledInterval: Math.min(STALLED_CHECK_INTERVAL_MS, leaseMs),
      maxStalledCount: MAX_STALLED,
      drainDelay: LISTEN_SECONDS,
      // An ended job that stayed would swallow a later reference of the same id.
      removeOnComplete: { count: 0 },
    });
    this.#worker.on("error", onError);
    this.#renewal = setInterval(() => void this.#renew().catch(onError), leaseMs / RENEWALS_PER_LEASE);
  }

  get name(): QueueName {
    return this.#options.name;
  }

  /** Resolves when jobs can be leased. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    await this.#worker.startStalledCheckTimer();
  }

  /** The next job, if there is one. */
  take(): Promise<Lease | null> {
    return this.#lease(false);
  }

  /** The next job, waited for up to a second. */
  listen(): Promise<Lease | null> {
    return this.#lease(true);
  }

  /** Leases that are still held lapse. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#renewal);
    // Force: it would wait for an answer that does not come.
    await this.#worker.close(this.#options.redis.status !== "ready");
  }

  async #lease(block: boolean): Promise<Lease | null> {
    const token = `${this.#worker.id}:${this.#nextToken++}`;
    const job = (await this.#worker.getNextJob(token, { block })) as Job | undefined;
    if (job === undefined) return null;
    this.#dropEarlierLeases(job);
    const lost = new AbortController();
    this.#held.set(token, { job, lost });
    return {
      // A queued job is a reference: its id is the job's own.
      jobId: job.id as string,
      lost: lost.signal,
      end: () => this.#giveUp(token, () => job.moveToCompleted("", token, false)),
      handBack: () => this.#giveUp(token, () => job.moveToWait(token)),
    };
  }

  /** A job that comes again has left us before, unnoticed. */
  #dropEarlierLeases({ id }: Job): void {
    for (const [token, { job, lost }] of this.#held) {
      if (job.id !== id) continue;
      this.#held.delete(token);
      lost.abort();
    }
  }

  /** What Redis refuses is left to lapse: the job is then leased again, and its record tells what is to be done. */
  async #giveUp(token: string, how: () => Promise<unknown>): Promise<void> {
    this.#held.delete(token);
    await how().catch(this.#options.onError);
  }

  async #renew(): Promise<void> {
    const held = [...this.#held];
    if (held.length === 0) return;
    const tokens = held.map(([token]) => token);
    const jobIds = held.map(([, { job }]) => job.id as string);
    const lapsed = new Set(await this.#worker.extendJobLocks(jobIds, tokens, this.#options.leaseMs));
    for (const [token, { job, lost }] of held) {
      if (!lapsed.has(job.id as string)) continue;
      this.#held.delete(token);
      lost.abort();
    }
  }
}
