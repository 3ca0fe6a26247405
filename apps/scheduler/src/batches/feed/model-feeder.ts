import { setTimeout as sleep } from "node:timers/promises";
import type { FileStore } from "@quern/shared/files/file-store";
import { readLiveLines } from "@quern/shared/redis/batch-lines";
import { type FeedState, readFeedStates } from "@quern/shared/redis/feed-state";
import type { TimedLock } from "@quern/shared/redis/timed-lock";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../../events.ts";
import type { JobReferences } from "../../queue/job-references.ts";
import { BatchFeed } from "./batch-feed.ts";
import { chooseLines, isRoom, type Room } from "./choose-lines.ts";
import { DeficitRoundRobin } from "./deficit-round-robin.ts";
import type { FeedBatch } from "./feed-batch.ts";
import { feedChosen } from "./feed-lines.ts";
import { CompletionRate, MAX_WINDOW_BYTES, runningLines, windowLines } from "./feed-window.ts";
import { newcomerCredit } from "./newcomer-credit.ts";
import type { ServedModel, ServedModels } from "./served-models.ts";
import { tenantHeads } from "./tenant-heads.ts";

/** Less than most lines cost, so that tenants take turns line by line. */
const QUANTUM_TOKENS = 128;
const RENEW_LOCK_INTERVAL_MS = 1_000;
/** Between two tries to become the one that feeds the model, and two looks where nothing is to be fed. */
const IDLE_INTERVAL_MS = 1_000;
/** Between two looks while lines end, and while they only run. */
const MOVING_INTERVAL_MS = 25;
const RUNNING_INTERVAL_MS = 200;
/** A look asks Redis for the state of each batch that has lines under way. */
const INTERVAL_MS_PER_BATCH = 0.5;
/** And of the others only so often: what changes with them is told by word, or when they are fed. */
const LOOK_AT_ALL_INTERVAL_MS = 2_000;
/** At lines, in one look at the model: those that can't be jobs take no other room. */
const MAX_LOOKS = 512;

export interface FeedContext {
  redis: Redis;
  files: FileStore;
  references: JobReferences;
  models: ServedModels;
  weightOf: (tenant: string) => number;
  /** Within so many lines they are put in order; 1: as given. */
  lookaheadLines: number;
  events: Pick<SchedulerEvents, "feeding" | "inputUnreadable" | "redisError">;
}

/**
 * Keeps the batch queue of one model filled from all batches that are in progress: a window of lines, so that no slot
 * waits, chosen so that tenants get their shares. One of all schedulers does it at a time, to save work and to be fair:
 * what two of them feed is fed once.
 */
export class ModelFeeder {
  readonly #context: FeedContext;
  readonly #model: string;
  readonly #lock: TimedLock;
  #role: "standing_by" | "feeding" = "standing_by";
  #lockedAtMs = Number.NEGATIVE_INFINITY;
  #batches: readonly FeedBatch[] = [];
  readonly #feeds = new Map<string, BatchFeed>();
  #turns: DeficitRoundRobin;
  #rate = new CompletionRate();
  #lookedAtMs = performance.now();
  #lookedAtAllAtMs = Number.NEGATIVE_INFINITY;
  /** How many batches the last look was at. */
  #lookedAt = 0;
  #intervalMs = MOVING_INTERVAL_MS;
  #woken = Promise.withResolvers<void>();

  constructor(context: FeedContext, model: string, lock: TimedLock) {
    this.#context = context;
    this.#model = model;
    this.#lock = lock;
    this.#turns = this.#newTurns();
  }

  /** The batches of the model that are in progress. */
  set(batches: readonly FeedBatch[]): void {
    const known = new Set(this.#batches.map(({ id }) => id));
    this.#batches = batches;
    if (batches.some(({ id }) => !known.has(id))) this.wake();
  }

  /** Something has changed: it looks at once, and at all. */
  wake(): void {
    this.#lookedAtAllAtMs = Number.NEGATIVE_INFINITY;
    this.#woken.resolve();
  }

  /** Resolves when `stop` is aborted and what was begun is done. */
  async run(stop: AbortSignal): Promise<void> {
    const { events } = this.#context;
    while (!stop.aborted) {
      try {
        if (await this.#holdsLock()) await this.#look();
        else this.#intervalMs = IDLE_INTERVAL_MS;
      } catch (error) {
        // Whatever was half done is looked up again.
        for (const feed of this.#feeds.values()) feed.drop();
        this.#lookedAtAllAtMs = Number.NEGATIVE_INFINITY;
        this.#intervalMs = IDLE_INTERVAL_MS;
        events.redisError(error as Error);
      }
      await this.#rest(stop);
    }
    if (this.#role === "feeding") await this.#lock.release().catch(events.redisError);
  }

  async #holdsLock(): Promise<boolean> {
    if (performance.now() - this.#lockedAtMs < RENEW_LOCK_INTERVAL_MS) return true;
    const before = this.#role;
    const askedAtMs = performance.now();
    this.#role = (await this.#lock.hold()) ? "feeding" : "standing_by";
    this.#lockedAtMs = this.#role === "feeding" ? askedAtMs : Number.NEGATIVE_INFINITY;
    if (this.#role === before) return this.#role === "feeding";
    this.#feeds.clear();
    this.#turns = this.#newTurns();
    if (this.#role === "feeding") this.#context.events.feeding(this.#model);
    return this.#role === "feeding";
  }

  async #look(): Promise<void> {
    const elapsedMs = performance.now() - this.#lookedAtMs;
    this.#lookedAtMs = performance.now();
    const ended = await this.#seeAll();
    this.#rate.add(ended, elapsedMs);
    const model = await this.#context.models.find(this.#model);
    const fed = await this.#feed(this.#room(model, elapsedMs), model);
    this.#intervalMs = this.#nextIntervalMs(fed + ended > 0);
  }

  /** Until there is no room, or nothing to be fed. @returns how many lines were. */
  async #feed(room: Room, model: ServedModel): Promise<number> {
    const { lookaheadLines, events, weightOf } = this.#context;
    const feeds = [...this.#feeds.values()];
    const share = { runningLines: runningLines(model.workers), weightOf };
    let fed = 0;
    while (isRoom(room)) {
      const heads = await tenantHeads(feeds, lookaheadLines, events);
      const waiting = new Set(heads.keys());
      const creditOf = (tenant: string) => newcomerCredit(tenant, waiting, feeds, share);
      const chosen = chooseLines(heads, room, this.#turns, model, creditOf);
      if (chosen.length === 0) break;
      await feedChosen(this.#context, this.#model, chosen);
      fed += chosen.length;
    }
    return fed;
  }

  /** How batches stand, and what that says of the time since the last look. @returns how many jobs have ended. */
  async #seeAll(): Promise<number> {
    const batches = this.#dueBatches();
    this.#lookedAt = batches.length;
    const states = await readFeedStates(
      this.#context.redis,
      batches.map(({ id }) => id),
    );
    const known = new Set(this.#batches.map(({ id }) => id));
    for (const id of this.#feeds.keys()) if (!known.has(id)) this.#feeds.delete(id);
    let ended = 0;
    for (const [at, batch] of batches.entries()) {
      const state = states[at];
      const feed = this.#feeds.get(batch.id);
      if (state == null) this.#feeds.delete(batch.id);
      else if (feed === undefined) await this.#takeOver(batch, state);
      else {
        ended += feed.state.live - state.live;
        // What lines have cost more than they were thought to when they were fed.
        const settled = state.settledTokens - feed.state.settledTokens;
        this.#turns.charge(batch.tenant, state.spentTokens - feed.state.spentTokens - settled);
        feed.see(state);
      }
    }
    return ended;
  }

  /** Those whose state may have changed since the last look, and now and then all. */
  #dueBatches(): readonly FeedBatch[] {
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtAllAtMs >= LOOK_AT_ALL_INTERVAL_MS) {
      this.#lookedAtAllAtMs = nowMs;
      return this.#batches;
    }
    return this.#batches.filter(({ id }) => {
      const state = this.#feeds.get(id)?.state;
      return state === undefined || state.live > 0 || state.retries > 0 || state.outbox > 0;
    });
  }

  /** Whoever fed it before may have died between a job and its reference. */
  async #takeOver(batch: FeedBatch, state: FeedState): Promise<void> {
    const { redis, references } = this.#context;
    if (state.live > 0) {
      const lines = await readLiveLines(redis, batch.id, state.live);
      const ids = lines.map(({ jobId }) => jobId);
      await references.putAll({ model: this.#model, class: "batch" }, ids);
    }
    this.#feeds.set(batch.id, new BatchFeed(this.#context, batch, state));
  }

  #room({ workers }: ServedModel, elapsedMs: number): Room {
    const intervalMs = Math.min(elapsedMs, Math.max(RUNNING_INTERVAL_MS, this.#leastIntervalMs));
    let lines = windowLines(workers, this.#rate.linesPerMs, intervalMs);
    let bytes = MAX_WINDOW_BYTES;
    for (const { state } of this.#feeds.values()) {
      lines -= state.live;
      // What a line counted for whose record was lost, it counts for until nothing of its batch is under way.
      if (state.live > 0) bytes -= state.liveBytes;
    }
    return { lines, bytes, looks: MAX_LOOKS };
  }

  #nextIntervalMs(moved: boolean): number {
    const isRunning = [...this.#feeds.values()].some(({ state }) => state.live > 0);
    const longest = isRunning ? RUNNING_INTERVAL_MS : IDLE_INTERVAL_MS;
    const next = moved ? MOVING_INTERVAL_MS : Math.min(this.#intervalMs * 2, longest);
    return Math.max(next, this.#leastIntervalMs);
  }

  get #leastIntervalMs(): number {
    return INTERVAL_MS_PER_BATCH * this.#lookedAt;
  }

  /** Until the next look is due, or somebody wakes it. */
  async #rest(stop: AbortSignal): Promise<void> {
    const rested = new AbortController();
    const pause = sleep(this.#intervalMs, undefined, { signal: AbortSignal.any([stop, rested.signal]) });
    await Promise.race([pause.catch(() => {}), this.#woken.promise]);
    rested.abort();
    this.#woken = Promise.withResolvers();
  }

  #newTurns(): DeficitRoundRobin {
    return new DeficitRoundRobin({ quantumTokens: QUANTUM_TOKENS, weightOf: this.#context.weightOf });
  }
}
