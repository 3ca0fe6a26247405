import { setTimeout as sleep } from "node:timers/promises";
import type { JobRecord, QueueName } from "@quern/shared/contract/job";
import { aborted } from "@quern/shared/process/aborted";
import { dropDeadline, expireQueuedJob } from "@quern/shared/redis/deadlines";
import { type Claim, claimJob, readJobDemand } from "@quern/shared/redis/job-store";
import { settleEnded } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import type { EntryOrder, Occupancy } from "../protocol/entry-order.ts";
import { toJobError } from "../protocol/job-error.ts";
import type { JobMeasurements } from "../rates/job-measurements.ts";
import { AheadRule } from "../slots/ahead-rule.ts";
import type { Hold, PoolJob, SlotPool } from "../slots/slot-pool.ts";
import type { EngineSupervisor } from "../supervise/engine-supervisor.ts";
import type { Preparation } from "../supervise/preparation.ts";
import { type AttemptEnd, type AttemptOutcome, commitWithoutRunning, runAttempt } from "./attempt.ts";
import { reachedBound } from "./crash-verdict.ts";
import { isOverdue, stopAtDeadline } from "./deadline-timer.ts";
import { Inference } from "./inference.ts";
import { startAttemptSpans } from "./job-spans.ts";
import { type Lease, LeaseQueue } from "./lease-queue.ts";
import type { RunningJobs, StopReason } from "./running-jobs.ts";
import { SuspectDuty } from "./suspect-duty.ts";
import { SuspectQueue } from "./suspect-queue.ts";
import { endUnreadable } from "./unreadable-record.ts";

const RETRY_BROKEN_AFTER_MS = 1_000;
/** For the last words to Redis; one that does not answer is not waited for. */
const GOODBYE_MS = 1_500;

/** What a consumer tells: one call for each business event. */
export interface ConsumerEvents {
  attemptEnded(record: JobRecord, outcome: AttemptOutcome, nowMs: number): void;
  attemptBroke(jobId: string, error: Error): void;
  jobExpired(jobId: string): void;
  redisError(error: Error): void;
}

export interface JobConsumerOptions {
  redis: Redis;
  model: string;
  /** This worker's, in the registry. */
  workerId: string;
  /** Of the engine. */
  slots: number;
  pool: SlotPool;
  /** How long a worker that vanished keeps its jobs. */
  leaseMs: number;
  /** How long a suspect waits for a worker that is idle by itself. */
  suspectPatienceMs: number;
  retentionSeconds: number;
  engines: EngineSupervisor;
  preparation: Preparation;
  /** Tenants of one scope may reuse each other's prompt caches. */
  cacheScopeOf: (tenant: string) => string;
  runningJobs: RunningJobs;
  events: ConsumerEvents;
  measurements: JobMeasurements;
}

/** How an attempt ended; `gone` when nothing of the job is left. */
interface AttemptReturn {
  end: AttemptEnd | "gone";
  /** How long the job waits before it goes back to its queue. */
  backOffMs?: number;
}

/**
 * Takes jobs of one model from its queues as there is room for them, and runs an attempt at each. Every queue has a
 * loop: while the pool would let its next job in, it leases one, and brings it in or, when the room has gone meanwhile, back.
 */
export class JobConsumer {
  readonly #options: JobConsumerOptions;
  readonly #queues: Record<QueueName, LeaseQueue>;
  readonly #suspects: SuspectQueue;
  readonly #duty: SuspectDuty;
  readonly #ahead: AheadRule;
  readonly #draining = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  #poolChanged = Promise.withResolvers<void>();

  constructor(options: JobConsumerOptions) {
    this.#options = options;
    this.#ahead = new AheadRule(options.slots);
    const { redis, model, leaseMs, events, pool } = options;
    const open = (name: QueueName) =>
      new LeaseQueue({ redis, model, name, leaseMs, onError: events.redisError });
    this.#queues = { interactive: open("interactive"), batch: open("batch"), suspects: open("suspects") };
    this.#suspects = new SuspectQueue(redis, model, events.redisError);
    this.#duty = new SuspectDuty({
      redis,
      suspects: this.#suspects,
      model,
      workerId: options.workerId,
      patienceMs: options.suspectPatienceMs,
      isBusy: () => !pool.isEmpty,
      clear: () => this.#park(pool.clear()),
      reopen: () => this.#change(() => pool.reopen()),
      onError: events.redisError,
    });
  }

  /** Resolves when jobs are being taken. */
  async start(): Promise<void> {
    const queues = Object.values(this.#queues);
    await Promise.all(queues.map((queue) => queue.start()));
    this.#loops = Promise.all([
      ...queues.map((queue) => this.#serve(queue)),
      this.#duty.run(this.#draining.signal),
    ]);
  }

  /** Takes nothing new; others may have the jobs. */
  hold(reason: Hold): void {
    this.#change(() => this.#options.pool.hold(reason));
  }

  release(reason: Hold): void {
    this.#change(() => this.#options.pool.release(reason));
  }

  /** What the engine reports of its slots. */
  observe(occupancy: Occupancy): void {
    this.#change(() => this.#options.pool.observe(occupancy));
  }

  /**
   * Takes nothing new; what runs may finish within `graceMs`, the rest goes back to its queue. With Redis away nothing
   * can be given back, nor written: such leases lapse, and the jobs go on from what was published.
   */
  async drain(graceMs: number): Promise<void> {
    const { runningJobs } = this.#options;
    this.hold("draining");
    this.#draining.abort();
    const handBack = setTimeout(() => runningJobs.stopAll("draining"), graceMs);
    await Promise.race([runningJobs.ended(), unrefSleep(graceMs + GOODBYE_MS)]);
    clearTimeout(handBack);
    // A lease that was taken just then is on its way back.
    const lastLeases = this.#loops.then(() => runningJobs.ended());
    await Promise.race([lastLeases, unrefSleep(GOODBYE_MS)]);
    await this.close();
  }

  /** Leases that are still held lapse. */
  async close(): Promise<void> {
    const closing = Object.values(this.#queues).map((queue) => queue[Symbol.asyncDispose]());
    await Promise.race([Promise.all([...closing, this.#suspects.close()]), unrefSleep(GOODBYE_MS)]);
  }

  async #serve(queue: LeaseQueue): Promise<void> {
    const { pool, events } = this.#options;
    while (!this.#draining.signal.aborted) {
      if (!pool.mayFetch(queue.name)) {
        pool.heard(queue.name, "unknown");
        await this.#poolChanged.promise;
        continue;
      }
      try {
        const lease = (await queue.take()) ?? (await this.#listen(queue));
        if (lease === null) continue;
        pool.heard(queue.name, "unknown");
        await this.#admit(queue.name, lease);
      } catch (error) {
        events.redisError(error as Error);
        await this.#pause(RETRY_BROKEN_AFTER_MS);
      }
    }
  }

  /** The queues behind this one may have the room while it is quiet. */
  async #listen(queue: LeaseQueue): Promise<Lease | null> {
    this.#change(() => this.#options.pool.heard(queue.name, "quiet"));
    return queue.listen();
  }

  /** Brings a leased job into the engine, or back where it waits. */
  async #admit(queue: QueueName, lease: Lease): Promise<void> {
    const { redis, pool, runningJobs } = this.#options;
    const demand = await readJobDemand(redis, lease.jobId).catch(async (error: unknown) => {
      await lease.handBack();
      throw error;
    });
    if (demand.suspectSinceMs !== null && queue !== "suspects") return this.#moveToSuspects(lease);
    const job: PoolJob = { id: lease.jobId, queue, slots: demand.slots, parks: demand.parks };
    const decision = pool.decide(job);
    if (decision.kind === "wait") return lease.handBack();
    this.#park(decision.park);
    // Whatever goes wrong, it ends with the lease given up.
    void runningJobs.run(lease.jobId, (stop) => this.#run(job, lease, stop));
  }

  #park(jobs: readonly PoolJob[]): void {
    for (const { id } of jobs) this.#options.runningJobs.stop(id, "parked");
  }

  async #run(job: PoolJob, lease: Lease, stop: AbortController): Promise<void> {
    const { pool } = this.#options;
    const lost = () => stop.abort("lost" satisfies StopReason);
    lease.lost.addEventListener("abort", lost, { once: true });
    const { end, backOffMs = 0 } = await this.#attempt(job, stop).catch(async (error: Error) => ({
      end: await this.#broke(job.id, error),
      backOffMs: 0,
    }));
    this.#change(() => {
      pool.allowAhead(this.#ahead.jobs);
      pool.leave(job);
    });
    // The slot is free meanwhile, and the lease is kept: a worker that dies now loses nothing.
    if (backOffMs > 0) await this.#pause(backOffMs);
    if (end === "suspect" && job.queue !== "suspects") await this.#moveToSuspects(lease);
    else if (end === "queued" || end === "suspect") await lease.handBack();
    else await lease.end();
  }

  async #attempt(job: PoolJob, stop: AbortController): Promise<AttemptReturn> {
    const { redis, workerId, engines, retentionSeconds } = this.#options;
    if (engines.current === null) return { end: "queued" };

    const company = job.queue === "suspects" ? "alone" : "shared";
    const claim = await claimJob(redis, job.id, Date.now(), { workerId, company });
    if (claim.kind === "gone" || claim.kind === "suspect") return { end: claim.kind };
    if (claim.kind === "ended") return { end: claim.state as AttemptEnd };
    if (claim.kind === "overdue") return { end: await this.#expire(job.id) };
    if (claim.kind === "unreadable") {
      const end = await endUnreadable(redis, job.id, claim, retentionSeconds);
      await this.#broke(job.id, claim.fault);
      return { end };
    }
    return this.#attemptClaimed(job, claim, stop);
  }

  async #attemptClaimed(
    job: PoolJob,
    { record, lastSeq }: Extract<Claim, { kind: "claimed" }>,
    stop: AbortController,
  ): Promise<AttemptOutcome> {
    const { redis, retentionSeconds, events, measurements } = this.#options;
    const measured = measurements.begin(record, this.#load());
    const spans = startAttemptSpans(record, Date.now());
    const ended = (outcome: AttemptOutcome) => {
      measured.end(outcome, this.#load());
      spans.end(outcome);
      events.attemptEnded(record, outcome, Date.now());
    };
    const attempt = {
      redis,
      record,
      lastSeq,
      inference: this.#inferenceOf(job),
      retentionSeconds,
      traceparent: spans.traceparent,
      stop,
    };
    using _deadline = stopAtDeadline(record, stop);
    const unrunnable = record.cancelRequested || reachedBound(record) !== null || isOverdue(record);
    let outcome: AttemptOutcome;
    try {
      outcome = unrunnable ? await commitWithoutRunning(attempt) : await runAttempt(attempt);
    } catch (error) {
      // The job is tried again. What is known of this attempt must not be lost: now it is needed.
      ended({ end: "queued", answer: null, error: toJobError(error) });
      throw error;
    }
    await this.#settle(record, outcome);
    ended(outcome);
    return outcome;
  }

  async #settle(record: JobRecord, { end, answer }: AttemptOutcome): Promise<void> {
    const { redis, events } = this.#options;
    // A line's end is settled by its commit. For other jobs this is best effort: a deadline that stays drops out when it
    // is due, and a scheduler finds the job that stays unsettled.
    if (end !== "queued" && end !== "suspect" && end !== "lost" && record.line === null) {
      await dropDeadline(redis, record).catch(events.redisError);
      await settleEnded(redis, record).catch(events.redisError);
    }
    if (record.class === "batch" && answer !== null) {
      this.#ahead.ended(answer.timings.endedAtMs - answer.timings.slotAtMs);
    }
  }

  #inferenceOf(job: PoolJob): Inference {
    const { pool, preparation, engines, cacheScopeOf } = this.#options;
    const setAside = () => this.#change(() => pool.setAside(job));
    const enter = (signal: AbortSignal) => this.#enter(job, signal);
    return new Inference({ preparation, engines, cacheScopeOf, place: { setAside, enter } });
  }

  /** At once, unless the job was set aside: then as soon as there is room for it again. */
  async #enter(job: PoolJob, signal: AbortSignal): Promise<EntryOrder> {
    const { pool } = this.#options;
    const stopped = aborted(signal);
    for (;;) {
      signal.throwIfAborted();
      const decision = pool.reenter(job);
      if (decision.kind === "admit") {
        this.#park(decision.park);
        return pool.orderOf(job);
      }
      await Promise.race([this.#poolChanged.promise, stopped]);
    }
  }

  /** The share of slots that have a job, this one's included. */
  #load(): number {
    const { runningJobs, slots } = this.#options;
    return Math.min(runningJobs.count / slots, 1);
  }

  /** Its deadline passed while it waited: it ends without a step of the engine. */
  async #expire(jobId: string): Promise<AttemptEnd | "gone"> {
    const { redis, retentionSeconds, events } = this.#options;
    const expiry = await expireQueuedJob(redis, jobId, { retentionSeconds });
    const { kind } = expiry;
    if (expiry.kind === "expired") {
      events.jobExpired(jobId);
      // Best effort: a scheduler finds the job that stays unsettled.
      await settleEnded(redis, expiry.job).catch(events.redisError);
    }
    if (kind === "expired" || kind === "ended") return "expired";
    // `early`: Redis' clock was set back just now. Whoever claims the job next sees how it stands.
    return kind === "gone" ? "gone" : "queued";
  }

  /** In this order: a job that stands in two queues for a moment is claimed once, one that stands in none is lost. */
  async #moveToSuspects(lease: Lease): Promise<void> {
    try {
      await this.#suspects.add(lease.jobId);
      await lease.end();
    } catch (error) {
      await this.#broke(lease.jobId, error as Error);
      await lease.handBack();
    }
  }

  /** Redis refused a write (out of memory, read-only replica), or a bug. The job is kept, and tried again. */
  async #broke(jobId: string, error: Error): Promise<"queued"> {
    this.#options.events.attemptBroke(jobId, error);
    await this.#pause(RETRY_BROKEN_AFTER_MS);
    return "queued";
  }

  /** Ends early when the worker drains. */
  async #pause(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#draining.signal }).catch(() => {});
  }

  /** Whatever changes the pool wakes the loops that wait for room. */
  #change(change: () => void): void {
    change();
    const { resolve } = this.#poolChanged;
    this.#poolChanged = Promise.withResolvers();
    resolve();
  }
}

function unrefSleep(delayMs: number): Promise<void> {
  return sleep(delayMs, undefined, { ref: false });
}
