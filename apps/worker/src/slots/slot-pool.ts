import type { QueueName } from "@quern/shared/contract/job";

/** A batch job that was parked this often keeps its slot: it must end some day, whatever arrives. */
export const MAX_PARKS = 3;
/** Vectors take no slot; this bounds what one worker keeps from the others. The engine takes their inputs in turns. */
export const MAX_EMBEDDING_JOBS = 16;

/** From the one that is asked first. */
export const QUEUES_BY_URGENCY = ["suspects", "interactive", "batch"] as const satisfies readonly QueueName[];

/** Why a worker takes nothing new. */
export type Hold = "engine_down" | "draining";

/** A leased job, as far as room for it is concerned. Its identity is its lease's: one lease, one object. */
export interface PoolJob {
  readonly id: string;
  readonly queue: QueueName;
  /** As many as its choices; 0: it asks for vectors. */
  readonly slots: number;
  /** How often it had to leave its slot before. */
  readonly parks: number;
}

/** `park`: who has to leave for it. It may enter at once: the engine gives it the slot within a step. `wait`: nothing has changed. */
export type Decision = { kind: "admit"; park: PoolJob[] } | { kind: "wait" };

/** `ahead`: it waits in the engine for a slot that gets free. */
type Seat = "running" | "ahead" | "leaving";

/**
 * Who of the leased jobs may be in the engine. Only decides: no I/O, no time.
 *
 *   open ──a suspect enters──▶ alone ──it leaves──▶ open
 *     └─clear──▶ clearing ──a suspect enters──▶ alone        (reopen: clearing ──▶ open)
 *
 * - Interactive jobs may take every slot, and park batch jobs when there is none, the youngest first.
 * - Batch jobs leave `reservedSlots` free. Among themselves, some more may wait in the engine (`allowAhead`), which lets them into slots by
 *   the same rule: a slot that one leaves is taken by the next within a step.
 * - A suspect runs alone: it enters an empty engine, and nothing enters beside it.
 *
 * A job enters as soon as one slot is free, however many choices it has: the others wait in the engine. It counts
 * with all of them, so that nobody is put behind them.
 */
export class SlotPool {
  readonly #slots: number;
  readonly #reservedSlots: number;
  /** In the order in which they entered. */
  readonly #seats = new Map<PoolJob, Seat>();
  readonly #holds = new Set<Hold>();
  /** Queues that had nothing when they were last asked, and are being listened to since. */
  readonly #quiet = new Set<QueueName>();
  /** Batch jobs that may wait in the engine. */
  #mostAhead = 0;
  #mode: "open" | "clearing" | "alone" = "open";

  /** `reservedSlots` < `slots`, or batch jobs would never run. */
  constructor({ slots, reservedSlots }: { slots: number; reservedSlots: number }) {
    this.#slots = slots;
    this.#reservedSlots = reservedSlots;
  }

  get isEmpty(): boolean {
    return this.#seats.size === 0;
  }

  /** Whether the next job of a queue would be let in, and no queue before it may have one. */
  mayFetch(queue: QueueName): boolean {
    if (!this.#hasRoom(queue)) return false;
    const before = QUEUES_BY_URGENCY.slice(0, QUEUES_BY_URGENCY.indexOf(queue));
    return before.every((other) => this.#quiet.has(other) || !this.#hasRoom(other));
  }

  /** `quiet`: it was asked and had nothing; `unknown`: it may have something. */
  heard(queue: QueueName, state: "quiet" | "unknown"): void {
    if (state === "quiet") this.#quiet.add(queue);
    else this.#quiet.delete(queue);
  }

  /** How many batch jobs may wait in the engine from now on. Those that do may stay. */
  allowAhead(jobs: number): void {
    this.#mostAhead = jobs;
  }

  /** Lets the job in, if there is room or room can be made. */
  decide(job: PoolJob): Decision {
    const decision = this.#holds.size > 0 ? WAIT : this.#judge(job);
    if (decision.kind === "wait") return decision;
    for (const parked of decision.park) this.#seats.set(parked, "leaving");
    this.#seats.set(
      job,
      job.queue === "batch" && job.slots > 0 && !this.#hasBatchSlot() ? "ahead" : "running",
    );
    if (job.queue === "suspects") this.#mode = "alone";
    return decision;
  }

  leave(job: PoolJob): void {
    this.#seats.delete(job);
    this.#seatAhead();
    if (job.queue === "suspects") this.#mode = "open";
  }

  hold(reason: Hold): void {
    this.#holds.add(reason);
  }

  release(reason: Hold): void {
    this.#holds.delete(reason);
  }

  /** Nothing enters until a suspect has run. Returns the batch jobs that are to be parked; the others run to their end. */
  clear(): PoolJob[] {
    if (this.#mode !== "open") return [];
    this.#mode = "clearing";
    const park = [...this.#parkable(), ...this.#ahead()];
    for (const job of park) this.#seats.set(job, "leaving");
    return park;
  }

  /** The suspect that this worker made room for has gone elsewhere. */
  reopen(): void {
    if (this.#mode === "clearing") this.#mode = "open";
  }

  #hasRoom(queue: QueueName): boolean {
    if (this.#holds.size > 0) return false;
    if (queue !== "suspects" && this.#embeddingJobs() >= MAX_EMBEDDING_JOBS) return false;
    return this.#judge({ id: "", queue, slots: 1, parks: 0 }).kind === "admit";
  }

  #judge(job: PoolJob): Decision {
    if (job.queue === "suspects") return this.isEmpty ? ADMIT : WAIT;
    if (this.#mode !== "open") return WAIT;
    if (job.slots === 0) return this.#embeddingJobs() < MAX_EMBEDDING_JOBS ? ADMIT : WAIT;
    if (job.queue !== "batch") return this.#makeRoom();
    return this.#hasBatchSlot() || this.#mayGoAhead() ? ADMIT : WAIT;
  }

  /** Beside interactive jobs nobody goes ahead: how long they take is not known, and another worker may have a slot sooner. */
  #mayGoAhead(): boolean {
    if (this.#ahead().length >= this.#mostAhead) return false;
    return [...this.#seats].every(([{ queue }, seat]) => queue === "batch" && seat !== "leaving");
  }

  #hasBatchSlot(): boolean {
    return this.#freeSlots() > this.#reservedSlots;
  }

  /** As the engine does it: in the order in which they came. */
  #seatAhead(): void {
    for (const job of this.#ahead()) {
      if (!this.#hasBatchSlot()) return;
      this.#seats.set(job, "running");
    }
  }

  #ahead(): PoolJob[] {
    return [...this.#seats].filter(([, seat]) => seat === "ahead").map(([job]) => job);
  }

  #makeRoom(): Decision {
    const park: PoolJob[] = [];
    let free = this.#freeSlots();
    for (const job of this.#parkable()) {
      if (free >= 1) break;
      park.push(job);
      free += this.#slotsOf(job);
    }
    return free >= 1 ? { kind: "admit", park } : WAIT;
  }

  /** The youngest first: it has the least to lose. Who waits in the engine has no slot to give. */
  #parkable(): PoolJob[] {
    return [...this.#seats]
      .filter(([{ queue, slots, parks }, seat]) => {
        return queue === "batch" && seat === "running" && slots > 0 && parks < MAX_PARKS;
      })
      .map(([job]) => job)
      .reverse();
  }

  /** Below 0 where choices wait in the engine. Who leaves has as good as left. */
  #freeSlots(): number {
    let free = this.#slots;
    for (const [job, seat] of this.#seats) if (seat === "running") free -= this.#slotsOf(job);
    return free;
  }

  #slotsOf({ slots }: PoolJob): number {
    return Math.min(slots, this.#slots);
  }

  #embeddingJobs(): number {
    return [...this.#seats.keys()].filter(({ slots }) => slots === 0).length;
  }
}

const ADMIT: Decision = { kind: "admit", park: [] };
const WAIT: Decision = { kind: "wait" };
