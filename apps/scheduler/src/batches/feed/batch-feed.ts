import { QuernError } from "@quern/shared/contract/errors";
import type { FileStore } from "@quern/shared/files/file-store";
import { countCopies, NO_LEADER, readLeaders } from "@quern/shared/files/line-leaders";
import { type FeedState, readFeedCursor, saveFeedCursor } from "@quern/shared/redis/feed-state";
import { dropRetries, readLinePositions, readLineStates } from "@quern/shared/redis/line-states";
import type { Redis } from "ioredis";
import type { FeedBatch } from "./feed-batch.ts";
import {
  type BlockBounds,
  type FeedCursor,
  feedCursorSchema,
  INPUT_BEGIN,
  type InputLineText,
  readBlock,
  readLineAt,
} from "./input-block.ts";
import { orderByPrefix } from "./prefix-order.ts";

/** Ends that stand in no file: the files can't be written, and Redis is no place for more. */
const MAX_OUTBOX_LINES = 2_000;
const MAX_OUTBOX_BYTES = 16 * 2 ** 20;
/** Lines that wait for their next try, each of which takes room in Redis. */
const MAX_PUT_OFF = 1_000;
/** Between two looks through the whole input for lines that are missing. */
const LAP_INTERVAL_MS = 5_000;
/** Until an input that can't be read is tried again. */
const HOLD_MS = 5_000;

export interface FeedSources {
  redis: Redis;
  files: FileStore;
}

/**
 * The lines of one batch that are to be fed: those that failed in passing when they are due, and the input block by block, each
 * in the order of its prompts. Redis says of each line of a block whether it is to be fed, so a feeder that dies, or two
 * of them, lose nothing and feed nothing again that has ended; the cursor only spares them the blocks that are done.
 *
 *   empty ──fill──▶ in hand ──take──▶ … ──settle (they are fed)──▶ empty, the cursor behind the block
 *                      └──drop (whatever was taken of it may not be fed)──▶ empty, the cursor before the block
 */
export class BatchFeed {
  readonly batch: FeedBatch;
  readonly #sources: FeedSources;
  #state: FeedState;
  /** null: not read yet. */
  #cursor: FeedCursor | null = null;
  /** The block in hand; null: none is. */
  #block: { lines: InputLineText[]; behind: FeedCursor; isLast: boolean } | null = null;
  #retries: InputLineText[] = [];
  /** Whether the input has been fed to its end, as far as is known. */
  #isThrough = false;
  #lapAfterMs = 0;
  #heldUntilMs = 0;
  /** null: not read yet. */
  #copying: { leaders: Int32Array; copies: Int32Array } | "none" | null = null;

  constructor(sources: FeedSources, batch: FeedBatch, state: FeedState) {
    this.#sources = sources;
    this.batch = batch;
    this.#state = state;
  }

  get state(): Readonly<FeedState> {
    return this.#state;
  }

  /** How the batch stands now. */
  see(state: FeedState): void {
    this.#state = { ...state, dueRetries: [...state.dueRetries] };
    if (!this.mayFeed) this.drop();
    if (this.#isThrough && isLineMissing(state, this.batch) && performance.now() >= this.#lapAfterMs) {
      this.#lapAfterMs = performance.now() + LAP_INTERVAL_MS;
      this.#isThrough = false;
      this.#cursor = INPUT_BEGIN;
    }
  }

  get mayFeed(): boolean {
    const { status, isPaused, outbox, outboxBytes } = this.#state;
    const isFull = outbox >= MAX_OUTBOX_LINES || outboxBytes >= MAX_OUTBOX_BYTES;
    const isHeld = performance.now() < this.#heldUntilMs;
    return status === "in_progress" && !isPaused && !isFull && !isHeld;
  }

  get hasLine(): boolean {
    return this.#retries.length > 0 || (this.#block?.lines.length ?? 0) > 0;
  }

  /** Reads on until there is a line in hand, or none is to be fed just now. @throws QuernError of the file store. */
  async fill(bounds: BlockBounds): Promise<void> {
    if (!this.mayFeed || this.hasLine) return;
    try {
      this.#copying ??= await this.#readCopies();
      if (this.#state.dueRetries.length > 0) await this.#fillWithRetries(bounds);
      while (!this.hasLine && !this.#isThrough && this.#state.retries < MAX_PUT_OFF) {
        await this.#readBlock(bounds);
      }
    } catch (error) {
      this.drop();
      if (error instanceof QuernError) this.#heldUntilMs = performance.now() + HOLD_MS;
      throw error;
    }
  }

  /** The next line; only where there is one. */
  take(): { line: InputLineText; copies: number } {
    const line = this.#retries.shift() ?? this.#block?.lines.shift();
    if (line === undefined) throw new Error("there is no line in hand");
    const copying = this.#copying;
    const copies = copying === null || copying === "none" ? 0 : (copying.copies[line.index] ?? 0);
    return { line, copies };
  }

  /** So much of it is under way in addition. */
  countFed(lines: number, bytes: number, tokens: number): void {
    this.#state.live += lines;
    this.#state.liveBytes += bytes;
    this.#state.liveTokens += tokens;
  }

  /** So many of its lines have ended without being fed. */
  countRefused(lines: number): void {
    this.#state.outbox += lines;
  }

  /** All that was taken is fed. */
  async settle(): Promise<void> {
    if (this.#block !== null && this.#block.lines.length === 0) await this.#passBlock();
  }

  /** Lets go of what is in hand; the block is read again, and Redis asked what is left of it. */
  drop(): void {
    this.#block = null;
    this.#retries = [];
  }

  /** The batch takes no more lines, until it is seen otherwise. */
  stop(): void {
    this.drop();
    this.#state.isPaused = true;
  }

  async #readBlock(bounds: BlockBounds): Promise<void> {
    const { redis, files } = this.#sources;
    const { batch } = this;
    this.#cursor ??= feedCursorSchema.nullable().parse(await readFeedCursor(redis, batch.id)) ?? INPUT_BEGIN;
    const { index, blocks } = this.#cursor;
    const { lines, next, isLast } = await readBlock(files, batch, this.#cursor, bounds);
    const states = await readLineStates(redis, batch.id, index, lines.length);
    const wanted = lines.filter((line, at) => states[at] === "waiting" && !this.#isCopy(line.index));
    const direction = blocks % 2 === 0 ? "ascending" : "descending";
    const ordered = bounds.lines === 1 ? wanted : orderByPrefix(wanted, batch.endpoint, direction);
    this.#block = { lines: ordered, behind: next, isLast };
    await this.settle();
  }

  async #passBlock(): Promise<void> {
    if (this.#block === null) return;
    const { behind, isLast } = this.#block;
    this.#cursor = behind;
    this.#isThrough = isLast;
    this.#block = null;
    await saveFeedCursor(this.#sources.redis, this.batch.id, behind);
  }

  async #fillWithRetries(bounds: BlockBounds): Promise<void> {
    const { redis, files } = this.#sources;
    const due = this.#state.dueRetries.splice(0);
    const positions = await readLinePositions(redis, this.batch.id, due);
    // Of a line that nobody knows the place of a lap finds it.
    const lost = due.filter((index) => !positions.some((position) => position.index === index));
    await dropRetries(redis, this.batch.id, lost);
    let bytes = 0;
    for (const position of positions) {
      if (bytes > 0 && bytes + position.bytes > bounds.bytes) break;
      bytes += position.bytes;
      this.#retries.push(await readLineAt(files, this.batch, position));
    }
  }

  async #readCopies(): Promise<{ leaders: Int32Array; copies: Int32Array } | "none"> {
    if (!this.batch.dedupe) return "none";
    const leaders = await readLeaders(this.#sources.files, this.batch);
    return leaders === null ? "none" : { leaders, copies: countCopies(leaders) };
  }

  #isCopy(index: number): boolean {
    const copying = this.#copying;
    if (copying === null || copying === "none") return false;
    return (copying.leaders[index] ?? NO_LEADER) !== NO_LEADER;
  }
}

/**
 * Whether the input has a line that is in no state at all, which only a Redis that lost writes can show. Copies are in none
 * until their leaders have ended: where there may be some, it shows when nothing is under way any more.
 */
function isLineMissing({ total, ended, live, retries }: FeedState, { dedupe }: FeedBatch): boolean {
  if (dedupe) return live === 0 && retries === 0 && ended < total;
  return ended + live + retries < total;
}
