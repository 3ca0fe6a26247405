import type { QueueName } from "@quern/shared/contract/job";
import type { EntryOrder, Occupancy } from "../protocol/entry-order.ts";

/** A batch job that was parked this often keeps its slot: it must end some day, whatever arrives. */
export const MAX_PARKS = 3;
/** Vectors take no slot; this bounds what one worker keeps from the others. The engine takes their inputs in turns. */
export const MAX_EMBEDDING_JOBS = 16;
/** Jobs set aside while their long preparation lasts. They hold no slot; this bounds the leases and requests held. */
export const MAX_SET_ASIDE = 16;

/** From the one that is asked first. */
export const QUEUES_BY_URGENCY = ["suspects", "interactive", "batch"] as const satisfies readonly QueueName[];

/** Why a worker takes nothing new. */
export type Hold = "engine_down" | "draining";

/** A leased job, as far as room for it is concerned. Its identity is its lease's: one lease, one object. */
export interface PoolJob {
  readonly id: string;
  readonly queue: QueueName;
  /** One for each of its choices; 0: it asks for vectors. */
  readonly slots: number;
  /** How often it had to leave its slot before. */
  readonly parks: number;
}

/**
 * `park`: the batch jobs that have to leave for it. It may enter at once: the engine gives it the slot within a step.
 * `wait`: nothing has changed.
 */
export type Decision = { kind: "admit"; park: PoolJob[] } | { kind: "wait" };

/**
 * A job's place in the pool.
 *
 *   entering ──seen by the engine──▶ inside ──seen to have left──▶ ended          (each: leave ──▶ gone)
 *      │ ▲                             └──parked──▶ leaving
 *      ▼ └─reenter─┐
 *   aside ─────────┘
 *
 * `ahead`: a batch job that entered beyond the free slots; it counts as holding none until the engine gives it one.
 */
type Seat =
  | { state: "entering"; ahead: boolean }
  | { state: "aside" }
  /** `running`: choices in slots; `waiting`: choices that still wait in the engine. */
  | { state: "inside"; ahead: boolean; running: number; waiting: number }
  | { state: "leaving" }
  /** All of it was generated; its commit is under way. */
  | { state: "ended" };

/**
 * Which of the leased jobs may be in the engine, and in which order they enter its slots: the one place that knows the
 * policy of classes. It follows what the engine reports (`observe`), and only decides: no I/O, no time.
 *
 *   open ──a suspect enters──▶ alone ──it leaves──▶ open
 *     └─clear──▶ clearing ──a suspect enters──▶ alone        (reopen: clearing ──▶ open)
 *
 * - Interactive jobs may take every slot, and park batch jobs when there is none, the youngest first.
 * - Batch jobs leave `reservedSlots` free. Among themselves, some more may wait in the engine (`allowAhead`): a slot that
 *   one leaves is taken by the next within a step.
 * - A suspect runs alone: it enters an empty engine, and nothing enters beside it.
 * - A job whose preparation takes long is set aside: it holds no slot, and enters again when it is prepared.
 *
 * A job enters as soon as one slot is free, however many choices it has: the others wait in the engine. All of them count,
 * so that no other job is put behind them.
 */
export class SlotPool {
  readonly #slots: number;
  readonly #reservedSlots: number;
  /** In the order in which they entered. */
  readonly #seats = new Map<PoolJob, Seat>();
  /** Jobs set aside that are prepared and wait for room, first come first served. */
  readonly #reentering = new Set<PoolJob>();
  readonly #holds = new Set<Hold>();
  /** Queues that had nothing when they were last asked, and are being listened to since. */
  readonly #quiet = new Set<QueueName>();
  /** How many batch jobs may wait in the engine. */
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

  /** Slots that hold a job, or are promised to one. */
  get busySlots(): number {
    return Math.min(this.#slots - this.#freeSlots(), this.#slots);
  }

  /** Batch jobs that can run here at a time. */
  get batchSlots(): number {
    return this.#slots - this.#reservedSlots;
  }

  /** Whether the next job of a queue would be let in, and no queue before it may have one. */
  mayFetch(queue: QueueName): boolean {
    if (!this.#hasRoom(queue)) return false;
    const before = QUEUES_BY_URGENCY.slice(0, QUEUES_BY_URGENCY.indexOf(queue));
    return before.every((other) => this.#quiet.has(other) || !this.#hasRoom(other));
  }

  /** `quiet`: the queue was asked and had nothing; `unknown`: it may have something. */
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
    if (decision.kind === "admit") this.#enter(job, decision.park);
    return decision;
  }

  /** The order in which an admitted job enters the slots of the engine. */
  orderOf({ queue }: PoolJob): EntryOrder {
    return queue === "batch" ? { rank: 1, leaveFree: this.#reservedSlots } : { rank: 0, leaveFree: 0 };
  }

  /** The job's preparation takes long: others may have its slot meanwhile. A suspect keeps its engine. */
  setAside(job: PoolJob): void {
    if (job.slots === 0 || job.queue === "suspects") return;
    if (this.#seats.get(job)?.state === "entering") this.#seats.set(job, { state: "aside" });
  }

  /**
   * A job that was set aside is prepared: lets it in as `decide` does. While it waits, jobs that are not more urgent than it
   * are not fetched. A job that was not set aside is in already.
   */
  reenter(job: PoolJob): Decision {
    if (this.#seats.get(job)?.state !== "aside") return ADMIT;
    // A worker that drains, or makes room for a suspect, still finishes the jobs that it has begun.
    const mustWait = this.#holds.has("engine_down") || this.#isBehindOthers(job);
    const decision = mustWait ? WAIT : this.#judgeRoom(job);
    if (decision.kind === "wait") this.#reentering.add(job);
    else this.#enter(job, decision.park);
    return decision;
  }

  /** What the engine reports of its slots. */
  observe({ slots, waiting }: Occupancy): void {
    const running = Map.groupBy(slots, (id) => id);
    const behind = Map.groupBy(waiting, (id) => id);
    for (const [job, seat] of this.#seats) {
      if (seat.state !== "entering" && seat.state !== "inside") continue;
      const [inSlots, inQueue] = [running.get(job.id)?.length ?? 0, behind.get(job.id)?.length ?? 0];
      if (inSlots + inQueue > 0) {
        const ahead = seat.ahead && inSlots === 0;
        this.#seats.set(job, { state: "inside", ahead, running: inSlots, waiting: inQueue });
      } else if (seat.state === "inside") this.#seats.set(job, { state: "ended" });
    }
  }

  leave(job: PoolJob): void {
    this.#seats.delete(job);
    this.#reentering.delete(job);
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
    for (const job of park) this.#seats.set(job, { state: "leaving" });
    return park;
  }

  /** The suspect that this worker made room for has gone elsewhere. */
  reopen(): void {
    if (this.#mode === "clearing") this.#mode = "open";
  }

  #enter(job: PoolJob, park: readonly PoolJob[]): void {
    for (const parked of park) this.#seats.set(parked, { state: "leaving" });
    const ahead = job.queue === "batch" && job.slots > 0 && !this.#hasBatchSlot();
    this.#reentering.delete(job);
    this.#seats.set(job, { state: "entering", ahead });
    if (job.queue === "suspects") this.#mode = "alone";
  }

  #hasRoom(queue: QueueName): boolean {
    if (this.#holds.size > 0) return false;
    if (queue !== "suspects") {
      if (this.#embeddingJobs() >= MAX_EMBEDDING_JOBS || this.#inState("aside").length >= MAX_SET_ASIDE)
        return false;
      const next = { id: "", queue, slots: 1, parks: 0 };
      if (this.#isBehindOthers(next)) return false;
    }
    return this.#judge({ id: "", queue, slots: 1, parks: 0 }).kind === "admit";
  }

  /** Whether a job that is prepared, and at least as urgent, waits for room. */
  #isBehindOthers(job: PoolJob): boolean {
    for (const other of this.#reentering) {
      if (other === job) return false;
      if (urgencyOf(other) <= urgencyOf(job)) return true;
    }
    return false;
  }

  #judge(job: PoolJob): Decision {
    if (job.queue === "suspects") return this.isEmpty ? ADMIT : WAIT;
    return this.#mode === "open" ? this.#judgeRoom(job) : WAIT;
  }

  #judgeRoom(job: PoolJob): Decision {
    if (job.slots === 0) return this.#embeddingJobs() < MAX_EMBEDDING_JOBS ? ADMIT : WAIT;
    if (job.queue !== "batch") return this.#makeRoom();
    return this.#hasBatchSlot() || this.#mayGoAhead() ? ADMIT : WAIT;
  }

  /** Beside interactive jobs none goes ahead: how long they take is not known, and another worker may have a slot sooner. */
  #mayGoAhead(): boolean {
    if (this.#ahead().length >= this.#mostAhead) return false;
    return [...this.#seats].every(([{ queue }, { state }]) => {
      return (queue === "batch" && state !== "leaving") || state === "ended" || state === "aside";
    });
  }

  #hasBatchSlot(): boolean {
    return this.#freeSlots() > this.#reservedSlots;
  }

  #ahead(): PoolJob[] {
    return [...this.#seats].filter(([, seat]) => "ahead" in seat && seat.ahead).map(([job]) => job);
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

  /** The youngest first: it has the least to lose. A job that waits in the engine has no slot to give. */
  #parkable(): PoolJob[] {
    return [...this.#seats]
      .filter(([{ queue, parks }, seat]) => {
        return queue === "batch" && parks < MAX_PARKS && "ahead" in seat && !seat.ahead;
      })
      .filter(([job]) => this.#slotsOf(job) > 0)
      .map(([job]) => job)
      .reverse();
  }

  /** Below 0 where choices wait in the engine. */
  #freeSlots(): number {
    let free = this.#slots;
    for (const job of this.#seats.keys()) free -= this.#slotsOf(job);
    return free;
  }

  /** Slots that a job holds or will hold; a job that leaves has as good as left. */
  #slotsOf(job: PoolJob): number {
    const seat = this.#seats.get(job);
    if (seat === undefined || !("ahead" in seat) || seat.ahead) return 0;
    const wanted = seat.state === "inside" ? seat.running + seat.waiting : job.slots;
    return Math.min(wanted, this.#slots);
  }

  #embeddingJobs(): number {
    return [...this.#seats.keys()].filter(({ slots }) => slots === 0).length;
  }

  #inState(state: Seat["state"]): PoolJob[] {
    return [...this.#seats].filter(([, seat]) => seat.state === state).map(([job]) => job);
  }
}

const ADMIT: Decision = { kind: "admit", park: [] };
const WAIT: Decision = { kind: "wait" };

/** The lowest first. */
function urgencyOf({ queue }: PoolJob): number {
  return QUEUES_BY_URGENCY.indexOf(queue);
}
