import { setTimeout as sleep } from "node:timers/promises";
import { queuePrefix } from "@quern/shared/contract/names";
import { dropDeadline, expireQueuedJob } from "@quern/shared/redis/deadlines";
import { claimJob } from "@quern/shared/redis/job-store";
import { type Job, WaitingError, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { EngineSupervisor } from "../engine-process/engine-supervisor.ts";
import type { WorkerEvents } from "../events.ts";
import type { JobMeasurements } from "../rates/job-measurements.ts";
import { type AttemptEnd, commitWithoutRunning, MAX_CRASHES, runAttempt } from "./attempt.ts";
import { isOverdue, stopAtDeadline } from "./deadline-timer.ts";
import { startAttemptSpans } from "./job-spans.ts";
import type { RunningJobs } from "./running-jobs.ts";

/** A queued job is a reference; the request is in its record. */
const queuedJobSchema = z.object({ jobId: z.string() });

/** How long a worker that vanished keeps its jobs, and how often others look for such jobs. */
const LEASE_MS = 30_000;
const STALLED_CHECK_INTERVAL_MS = 5_000;
/** BullMQ *fails* a job that stalls more often, whatever its attempts: only a bug gets there. */
const MAX_STALLED = 10;
/** A wake-up can be swallowed by a worker that is stopped just then: look into the queue each second anyway. */
const DRAIN_DELAY_SECONDS = 1;
const RETRY_BROKEN_AFTER_MS = 1_000;

export interface JobConsumerOptions {
  redis: Redis;
  model: string;
  slots: number;
  retentionSeconds: number;
  engines: EngineSupervisor;
  runningJobs: RunningJobs;
  events: WorkerEvents;
  measurements: JobMeasurements;
}

/**
 * Takes jobs of one model from its queue, as many at a time as there are slots. BullMQ's lock is the lease; it is
 * renewed by this process, whatever the engine child does.
 */
export class JobConsumer {
  readonly #options: JobConsumerOptions;
  readonly #worker: Worker;
  readonly #draining = new AbortController();

  constructor(options: JobConsumerOptions) {
    this.#options = options;
    const onError = options.events.redisError;
    this.#worker = new Worker(
      "interactive",
      // Three parameters, or BullMQ does not make the signal.
      (job: Job, token: string | undefined, _signal: AbortSignal | undefined) => this.#process(job, token),
      {
        connection: options.redis,
        prefix: queuePrefix(options.model),
        concurrency: options.slots,
        autorun: false,
        lockDuration: LEASE_MS,
        stalledInterval: STALLED_CHECK_INTERVAL_MS,
        maxStalledCount: MAX_STALLED,
        drainDelay: DRAIN_DELAY_SECONDS,
        removeOnComplete: { age: 3_600, count: 1_000 },
        removeOnFail: { age: 86_400, count: 5_000 },
      },
    );
    this.#worker.on("error", onError);
    this.#worker.on("lockRenewalFailed", (jobIds) => {
      for (const jobId of jobIds) options.runningJobs.stop(jobId, "lost");
    });
  }

  /** Resolves when jobs are being taken. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    void this.#worker.run().catch(this.#options.events.redisError);
  }

  /** Takes nothing new while the engine is away; others may have the jobs. */
  async pause(): Promise<void> {
    await this.#worker.pause(true);
  }

  async resume(): Promise<void> {
    await this.#worker.resume();
  }

  /** Takes nothing new; what runs may finish within `graceMs`, the rest goes back to the queue. */
  async drain(graceMs: number): Promise<void> {
    this.#draining.abort();
    // Close first: a worker that is not closing would take the handed-back jobs right again.
    const closed = this.#worker.close();
    const handBack = setTimeout(() => this.#options.runningJobs.stopAll("draining"), graceMs);
    await closed;
    clearTimeout(handBack);
  }

  async #process(job: Job, token: string | undefined): Promise<string> {
    const { jobId } = queuedJobSchema.parse(job.data);
    return this.#options.runningJobs.run(jobId, async (stop) => {
      const end = await this.#attempt(jobId, stop).catch((error: Error) => this.#broke(jobId, error));
      // To the front of its queue. Nobody counts this as a failure.
      if (end === "queued") {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      return end;
    });
  }

  /** How the attempt ended; `gone` when nothing of the job is left. */
  async #attempt(jobId: string, stop: AbortController): Promise<AttemptEnd | "gone"> {
    const { redis, engines, retentionSeconds, events, measurements } = this.#options;
    const engine = await engines.ready(AbortSignal.any([stop.signal, this.#draining.signal]));
    if (engine === null) return "queued";

    const claim = await claimJob(redis, jobId, Date.now());
    if (claim.kind === "gone") return "gone";
    if (claim.kind === "ended") return claim.state as AttemptEnd;
    if (claim.kind === "overdue") return this.#expire(jobId);
    const { record, lastSeq } = claim;
    const measured = measurements.begin(record, this.#load());
    const spans = startAttemptSpans(record, Date.now());
    const unrunnable = record.cancelRequested || record.crashes >= MAX_CRASHES || isOverdue(record);
    const { traceparent } = spans;
    const attempt = { redis, record, lastSeq, engine, retentionSeconds, traceparent, stop };
    using _deadline = stopAtDeadline(record, stop);
    const outcome = unrunnable ? await commitWithoutRunning(attempt) : await runAttempt(attempt);
    const { end } = outcome;
    // Best effort: an entry that stays drops out when it is due.
    if (end !== "queued" && end !== "lost") await dropDeadline(redis, record).catch(events.redisError);
    measured.end(outcome, this.#load());
    spans.end(outcome);
    events.attemptEnded(record, outcome, Date.now());
    return end;
  }

  /** The share of slots that have a job, this one's included. */
  #load(): number {
    const { runningJobs, slots } = this.#options;
    return Math.min(runningJobs.count / slots, 1);
  }

  /** Its deadline passed while it waited: it ends without a step of the engine. */
  async #expire(jobId: string): Promise<AttemptEnd | "gone"> {
    const { redis, retentionSeconds, events } = this.#options;
    const { kind } = await expireQueuedJob(redis, jobId, { retentionSeconds });
    if (kind === "expired") events.jobExpired(jobId);
    if (kind === "expired" || kind === "ended") return "expired";
    // `early`: Redis' clock was set back just now. Whoever claims the job next sees how it stands.
    return kind === "gone" ? "gone" : "queued";
  }

  /** Redis refused a write (out of memory, read-only replica), or a bug. The job is kept, and tried again. */
  async #broke(jobId: string, error: Error): Promise<"queued"> {
    this.#options.events.attemptBroke(jobId, error);
    await sleep(RETRY_BROKEN_AFTER_MS, undefined, { signal: this.#draining.signal }).catch(() => {});
    return "queued";
  }
}
