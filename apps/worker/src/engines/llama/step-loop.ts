import type { FinishReason } from "@quern/shared/contract/generation";
import type { Token } from "node-llama-cpp";
import { asError } from "../../protocol/as-error.ts";
import type { Occupancy } from "../../protocol/entry-order.ts";
import { EntryQueue } from "../entry-queue.ts";
import type { LoopEvent } from "../job-choices.ts";
import type { Driver, Feed, FeedOutcome } from "./driver/driver.ts";
import type { Generation } from "./generation/generation.ts";
import { RunningGeneration } from "./generation/running-generation.ts";
import { emptySlot, type Slot } from "./generation/slot.ts";
import { commonPrefix, type Placement, placeGeneration } from "./schedule/place-generation.ts";
import { planStep, type SlotShare } from "./schedule/plan-step.ts";
import type { StepCost, StepShape } from "./schedule/step-cost.ts";
import { StreamPace } from "./schedule/stream-pace.ts";
import type { WarmPrefixes } from "./warm-prefixes.ts";

/** Deltas of a fast model are sent together; a slow one's leave with every step. */
const MIN_SEND_INTERVAL_MS = 25;
/** Send interval for answers that nobody follows. Bounds the work lost in a crash. */
const UNFOLLOWED_SEND_INTERVAL_MS = 1_000;
/** The longest time without a report while steps are made: the worker's watchdog relies on it. */
const MAX_SILENCE_MS = 1_000;
/** A step that should take longer is announced before it begins. */
const LONG_STEP_MS = 2_000;
/** A bridge feeds a token whose logits nobody reads. */
const ANY_TOKEN = 0 as Token;

/** What one decode was made of. */
export interface StepRecord {
  startedAtMs: number;
  endedAtMs: number;
  /** Ascending; bridges included. */
  slots: number[];
  /** Slots that decoded a token of a running stream. */
  rows: number;
  prefillTokens: number;
}

/** What the loop reports before each step that has news, see `StepReport`. */
export interface LoopReport {
  events: LoopEvent<Generation>[];
  occupancy: Occupancy | null;
  nextStepMs: number | null;
}

export interface StepLoopOptions {
  driver: Driver;
  slots: number;
  /** What the cache of one slot can hold. */
  slotTokens: number;
  cost: StepCost;
  /** How long a token takes at most while no step of its kind was measured yet. */
  unmeasuredTokenMs: number;
  warmPrefixes: WarmPrefixes;
  isEndOfGeneration: (token: Token) => boolean;
  /** Called at most once a step, before it begins. */
  report: (report: LoopReport) => void;
  /** Called after every step, for measurements. */
  observeStep?: (step: StepRecord) => void;
  /** Unix milliseconds with fractions. */
  nowMs: () => number;
}

/**
 * The engine's one loop. Each round, in this order:
 *
 *   1. cancelled generations leave their slots; those that an earlier attempt had ended need none
 *   2. those that waited for another's prefix get it, or go on without
 *   3. waiting ones enter a slot each, in the order that they carry
 *   4. what the last step brought about is reported, with who is in the slots now
 *   5. one decode over all that is planned for this step, in ascending order of slots, and its tokens are taken in
 *
 * Decisions are synchronous, each made before the await that carries it out; only the driver is awaited. Ascending,
 * gapless slots matter: llama.cpp puts only consecutive ascending sequence ids into one pass over the weights.
 */
export class StepLoop {
  readonly #options: StepLoopOptions;
  readonly #slots: Slot[];
  readonly #waiting = new EntryQueue<Generation>();
  readonly #pace = new StreamPace();
  #events: LoopEvent<Generation>[] = [];
  /** Whether a slot was taken or freed, or a generation came to wait, since the last report. */
  #occupancyChanged = false;
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #lastStepMs = Number.POSITIVE_INFINITY;
  #wake = () => {};
  #closing = false;

  constructor(options: StepLoopOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots }, (_, index) => emptySlot(index));
  }

  submit(generation: Generation): void {
    this.#waiting.add(generation);
    this.#occupancyChanged = true;
    this.#wake();
  }

  /** Ends all choices of a job within a step. Unknown ids have ended already. */
  cancel(id: string): void {
    for (const generation of [
      ...this.#waiting.items,
      ...this.#running().map(({ generation }) => generation),
    ]) {
      if (generation.id === id) generation.cancelled = true;
    }
    this.#wake();
  }

  close(): void {
    this.#closing = true;
    this.#wake();
  }

  /** Until `close`; generations that have not ended by then are dropped without a report. */
  async run(): Promise<void> {
    while (!this.#closing) {
      this.#releaseEnded();
      await this.#grantAwaitedPrefixes();
      await this.#admitWaiting();
      await this.#step();
      // What the report brings in is run at once.
      if (this.#isIdle()) this.#report(null);
      if (this.#isIdle()) await this.#wakened();
    }
    for (const running of this.#running()) running.sampler.dispose();
  }

  #releaseEnded(): void {
    const ended = this.#waiting.items.filter(({ cancelled, spoken }) => cancelled || spoken?.ended != null);
    for (const generation of ended) {
      this.#waiting.remove(generation);
      this.#occupancyChanged = true;
      this.#ended(this.#begin(generation), generation.spoken?.ended?.finishReason ?? null);
    }
    for (const slot of this.#slots) {
      if (slot.running?.generation.cancelled) this.#release(slot, null);
    }
  }

  /** Before anyone enters: the slot that was waited for may be free by now, and would be given away. */
  async #grantAwaitedPrefixes(): Promise<void> {
    for (const slot of this.#slots) {
      const awaited = slot.running?.awaited;
      if (slot.running === null || awaited == null) continue;
      const source = this.#slots[awaited.slot] as Slot;
      const stillComing = source.running === awaited.running && source.cached.length < awaited.tokens;
      if (stillComing) continue;
      slot.running.awaited = null;
      const { inputTokens } = slot.running.generation;
      const tokens = commonPrefix(inputTokens, source.cached, awaited.tokens);
      if (tokens > slot.cached.length) await this.#copyCache(source, slot, tokens);
      slot.running.startBehind(slot.cached.length);
    }
  }

  async #admitWaiting(): Promise<void> {
    const { driver, warmPrefixes } = this.#options;
    const rules = { copies: driver.capabilities.copies, publicPrefix: warmPrefixes.publicTokens };
    while (!this.#waiting.isEmpty) {
      const free = this.#slots.filter(({ running }) => running === null).length;
      const generation = this.#waiting.next(free);
      if (generation === undefined) return;
      const placement = placeGeneration(generation, this.#slots, rules);
      if (placement === null) return;
      this.#waiting.remove(generation);
      await this.#enter(generation, placement);
    }
  }

  async #enter(generation: Generation, { slot, kept, copy, wait }: Placement): Promise<void> {
    const running = this.#begin(generation);
    slot.running = running;
    this.#occupancyChanged = true;
    slot.cacheScope = generation.cacheScope;
    await this.#truncate(slot, kept);
    if (copy !== null) await this.#copyCache(copy.from, slot, copy.tokens);
    const source = wait?.for.running ?? null;
    if (wait !== null && source !== null) {
      running.awaited = { slot: wait.for.index, running: source, tokens: wait.tokens };
    } else await this.#loadWarmPrefix(slot, generation);
    running.startBehind(slot.cached.length);
  }

  /** From disk, when that brings more than what the slot has got already. */
  async #loadWarmPrefix(slot: Slot, { inputTokens }: Generation): Promise<void> {
    const stored = this.#options.warmPrefixes.stored(inputTokens, slot.cached.length);
    if (stored === null) return;
    try {
      slot.cached = await this.#options.driver.load(slot.index, stored.path);
      await this.#truncate(slot, commonPrefix(inputTokens, slot.cached, inputTokens.length - 1));
    } catch {
      // A file that is damaged costs the time to compute what it held, nothing else.
      await this.#forget(slot);
    }
  }

  async #copyCache(from: Slot, to: Slot, tokens: number): Promise<void> {
    try {
      await this.#options.driver.copy(from.index, to.index, tokens);
      to.cached = from.cached.slice(0, tokens);
    } catch {
      await this.#forget(to);
    }
  }

  async #step(): Promise<void> {
    const { driver, cost, nowMs } = this.#options;
    const shares: SlotShare[] = [];
    const feeds: Feed[] = [];
    for (const share of planStep(this.#slots, driver.stepTokens, cost, this.#pace)) {
      try {
        feeds.push(await this.#feedOf(share));
        shares.push(share);
      } catch (error) {
        await this.#fail(share.slot, asError(error));
      }
    }
    const shape = shapeOf(shares);
    this.#report(shares.length === 0 ? null : this.#expectedMs(shape));
    if (shares.length === 0) return;
    const startedAtMs = nowMs();
    const outcomes = await driver.step(feeds);
    const endedAtMs = nowMs();
    const tookMs = endedAtMs - startedAtMs;
    this.#lastStepMs = tookMs;
    this.#pace.stepped(shape, tookMs, cost);
    cost.learn(shape, tookMs);
    this.#options.observeStep?.(stepRecord(shares, shape, { startedAtMs, endedAtMs }));
    for (const [at, share] of shares.entries()) {
      await this.#takeIn(share, outcomes[at] as FeedOutcome, endedAtMs);
    }
  }

  async #feedOf({ slot, tokens }: SlotShare): Promise<Feed> {
    const { running } = slot;
    if (running === null) {
      // A bridge's token needs room, and the library keeps the last cell free: it shifts a cache that would fill it.
      const most = this.#options.slotTokens - 2;
      if (slot.cached.length > most) await this.#truncate(slot, most);
      const position = slot.cached.length;
      return { slot: slot.index, position, tokens: [ANY_TOKEN], sampler: null, topLogprobs: null };
    }
    const { pending, sampler, generation } = running;
    const samples = tokens === pending.length;
    if (samples) running.constrainWhenAnswering();
    return {
      slot: slot.index,
      position: slot.cached.length,
      tokens: pending.slice(0, tokens),
      sampler: samples ? sampler : null,
      topLogprobs: generation.topLogprobs,
    };
  }

  async #takeIn({ slot, tokens }: SlotShare, outcome: FeedOutcome, nowMs: number): Promise<void> {
    const { running } = slot;
    if (outcome.kind === "failed") return this.#fail(slot, outcome.error);
    if (running === null) return this.#dropBridge(slot);
    for (const token of running.pending.slice(0, tokens)) slot.cached.push(token);
    running.fed(tokens);
    if (outcome.kind === "fed") return;
    try {
      const isEnd = this.#options.isEndOfGeneration(outcome.token);
      const finishReason = running.accept(outcome.token, outcome.probability, isEnd, nowMs);
      if (finishReason !== null) this.#release(slot, finishReason);
      else if (nowMs - running.lastSentAtMs >= sendIntervalMs(running.generation)) this.#send(running, nowMs);
    } catch (error) {
      // One request whose output can't be read must not take the others with it.
      await this.#fail(slot, asError(error));
    }
  }

  /** How long a step will take, where that is long. Without a prompt a step is about as long as the one before. */
  #expectedMs(shape: StepShape): number | null {
    const { cost, unmeasuredTokenMs } = this.#options;
    if (shape.prefillTokens === 0 && this.#lastStepMs < LONG_STEP_MS / 4) return null;
    const measured = shape.prefillTokens > 0 && cost.prefillTokenMs() === null ? null : cost.predictMs(shape);
    const expectedMs = measured ?? (shape.rows + shape.prefillTokens) * unmeasuredTokenMs;
    return expectedMs < LONG_STEP_MS ? null : expectedMs;
  }

  /** Frees the slot. Its cache stays, for whoever may share it and begins alike. */
  #release(slot: Slot, finishReason: FinishReason | null): void {
    const running = slot.running as RunningGeneration;
    slot.running = null;
    this.#occupancyChanged = true;
    slot.lastUsedAtMs = this.#options.nowMs();
    this.#ended(running, finishReason);
  }

  async #fail(slot: Slot, error: Error): Promise<void> {
    const { running } = slot;
    slot.running = null;
    this.#occupancyChanged = true;
    await this.#forget(slot);
    if (running === null) return;
    running.sampler.dispose();
    this.#events.push({ type: "failed", generation: running.generation, error });
  }

  /** Of a model whose cache can only be cut whole, nothing is kept. */
  async #truncate(slot: Slot, tokens: number): Promise<void> {
    if (slot.cached.length === tokens) return;
    try {
      await this.#options.driver.truncate(slot.index, tokens);
      slot.cached.length = tokens;
    } catch {
      await this.#forget(slot);
    }
  }

  async #dropBridge(slot: Slot): Promise<void> {
    try {
      await this.#options.driver.truncate(slot.index, slot.cached.length);
    } catch {
      await this.#forget(slot);
    }
  }

  /** Whatever the cache holds: it may be less, or more, than what is known of it. */
  async #forget(slot: Slot): Promise<void> {
    slot.cached = [];
    await this.#options.driver.truncate(slot.index, 0);
  }

  #begin(generation: Generation): RunningGeneration {
    const sampler = this.#options.driver.createSampler(generation.sampling, generation.spoken?.tokens ?? []);
    return new RunningGeneration(generation, sampler, this.#options.nowMs());
  }

  #ended(running: RunningGeneration, finishReason: FinishReason | null): void {
    const { generation, sampler, completionTokens, cachedTokens, slotAtMs, firstTokenAtMs } = running;
    const endedAtMs = this.#options.nowMs();
    sampler.dispose();
    // Who does not follow an answer gets all of it with its end; what is broken off has to be gone on with.
    if (generation.isFollowed || finishReason === null) this.#send(running, endedAtMs, finishReason);
    const choice = { ...generation.output.result(), finishReason };
    const timings = { slotAtMs, firstTokenAtMs, endedAtMs };
    const { reasoningTokens } = generation.output;
    const ended = { choice, completionTokens, reasoningTokens, cachedTokens, timings };
    this.#events.push({ type: "ended", generation, ended });
  }

  /** `finishReason`: nothing follows. */
  #send(running: RunningGeneration, nowMs: number, finishReason: FinishReason | null = null): void {
    const { generation, completionTokens } = running;
    if (!generation.output.hasUnsent) return;
    running.lastSentAtMs = nowMs;
    const { promptLength: promptTokens } = generation;
    const ended = finishReason === null ? null : { finishReason, completionTokens };
    this.#events.push({
      type: "deltas",
      generation,
      deltas: generation.output.takeUnsent({ promptTokens, ended }),
    });
  }

  #report(nextStepMs: number | null): void {
    const nowMs = this.#options.nowMs();
    const isDue = nowMs - this.#reportedAtMs >= MAX_SILENCE_MS;
    if (this.#events.length === 0 && !this.#occupancyChanged && nextStepMs === null && !isDue) return;
    const events = this.#events;
    const occupancy = this.#occupancyChanged ? this.#occupancy() : null;
    this.#events = [];
    this.#occupancyChanged = false;
    this.#reportedAtMs = nowMs;
    this.#options.report({ events, occupancy, nextStepMs });
  }

  #occupancy(): Occupancy {
    return {
      slots: this.#slots.map(({ running }) => running?.generation.id ?? null),
      waiting: this.#waiting.items.map(({ id }) => id),
    };
  }

  #isIdle(): boolean {
    return this.#waiting.isEmpty && this.#slots.every(({ running }) => running === null);
  }

  #running(): RunningGeneration[] {
    return this.#slots.flatMap(({ running }) => running ?? []);
  }

  async #wakened(): Promise<void> {
    if (this.#closing) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = () => {};
  }
}

function shapeOf(shares: readonly SlotShare[]): StepShape {
  let [passes, rows, prefillTokens, previous] = [0, 0, 0, Number.NaN];
  for (const { slot, tokens } of shares) {
    if (slot.index !== previous + 1) passes += 1;
    previous = slot.index;
    if (slot.running?.phase === "prefilling") prefillTokens += tokens;
    else rows += 1;
  }
  return { passes, rows, prefillTokens };
}

function stepRecord(
  shares: readonly SlotShare[],
  { prefillTokens }: StepShape,
  times: { startedAtMs: number; endedAtMs: number },
): StepRecord {
  return {
    ...times,
    slots: shares.map(({ slot }) => slot.index),
    rows: shares.filter(({ slot }) => slot.running?.phase === "decoding").length,
    prefillTokens,
  };
}

function sendIntervalMs({ isFollowed }: Generation): number {
  return isFollowed ? MIN_SEND_INTERVAL_MS : UNFOLLOWED_SEND_INTERVAL_MS;
}
