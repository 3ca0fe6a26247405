import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { QuernError } from "@quern/shared/contract/errors";
import type { FileStore } from "@quern/shared/files/file-store";
import { readCollected } from "@quern/shared/redis/batch-outbox";
import { readBatch } from "@quern/shared/redis/batch-store";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";
import {
  type CollectedFiles,
  type CollectedLine,
  hasLinesAfter,
  isPositionIn,
  type LinePosition,
  linesAfter,
  openCollected,
} from "./batch-lines.ts";

/** How often a batch is looked at: a follower hears of its progress twice a second at most. */
const LOOK_INTERVAL_MS = 500;
/** A follower that has many lines before it hears how the batch stands between so many bytes of them. */
const MAX_BYTES_BETWEEN_LOOKS = 2 ** 20;

export type BatchEvent =
  | { type: "progress"; record: BatchRecord }
  | ({ type: "line" } & CollectedLine)
  | { type: "end"; record: BatchRecord };

/**
 * How a batch goes on, from how it stands to its `end`, or until `signal` aborts. With `after` each line that its files
 * come to hold behind that position is told too, once. Redis and the file store may go away and come back meanwhile.
 * A batch that is no longer kept ends without an `end`.
 * @throws QuernError `invalid_request` when `after` is no position in this batch's files, `events_expired` when they are gone.
 */
export async function* followBatch(
  { redis, fileStore }: { redis: Redis; fileStore: FileStore },
  batchId: string,
  after: LinePosition | null,
  signal: AbortSignal,
): AsyncGenerator<BatchEvent, void, undefined> {
  const reader = after === null ? null : new LineReader(batchId, after);
  const news = new ProgressNews();
  while (!signal.aborted) {
    try {
      // First what is recorded of its lines: that goes when it is over.
      const recorded = reader === null ? null : await readCollected(redis, batchId);
      const record = await readBatch(redis, batchId);
      if (record === null) return;
      const isOver = isBatchOver(record.status);
      await reader?.look(fileStore, record, recorded);
      if (!isOver && news.isNews(record)) yield { type: "progress", record };
      if (reader !== null) {
        yield* reader.read(signal);
        if (reader.isBehind) continue;
      }
      if (isOver) {
        if (!signal.aborted) yield { type: "end", record };
        return;
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}

/** `file_missing`: what was growing has just been finished; of a finished file that is gone `openCollected` tells. */
function isPassing(error: unknown): boolean {
  if (error instanceof QuernError) return error.retryable || error.code === "file_missing";
  return isRedisAway(error);
}

/** Whether a follower has something new to hear of a batch. */
class ProgressNews {
  #told = "";
  #toldAtMs = Number.NEGATIVE_INFINITY;

  isNews({ status, model, pausedAtMs, total, completed, failed, usage, progress }: BatchRecord): boolean {
    const traits = JSON.stringify([status, model, pausedAtMs, total, completed, failed, usage, progress]);
    const nowMs = performance.now();
    // Timers may be a millisecond early.
    if (traits === this.#told || nowMs - this.#toldAtMs < LOOK_INTERVAL_MS - 1) return false;
    [this.#told, this.#toldAtMs] = [traits, nowMs];
    return true;
  }
}

/** Reads on in files that grow. */
class LineReader {
  readonly #batchId: string;
  #position: LinePosition;
  #files: CollectedFiles | null = null;

  constructor(batchId: string, after: LinePosition) {
    this.#batchId = batchId;
    this.#position = after;
  }

  /** Whether the files have more than was read of them, as they were when it last looked. */
  get isBehind(): boolean {
    return this.#files !== null && hasLinesAfter(this.#files, this.#position);
  }

  /** `recorded`: as `readCollected` gave it. */
  async look(fileStore: FileStore, record: BatchRecord, recorded: unknown): Promise<void> {
    const isFirst = this.#files === null;
    this.#files = await openCollected(fileStore, record, recorded);
    if (isFirst && !(await isPositionIn(this.#files, this.#position))) throw notAPosition(this.#batchId);
  }

  /** The next lines: all there are, or as many as go between two looks. */
  async *read(signal: AbortSignal): AsyncGenerator<BatchEvent, void, undefined> {
    if (this.#files === null) return;
    const enough = bytesOf(this.#position) + MAX_BYTES_BETWEEN_LOOKS;
    for await (const line of linesAfter(this.#files, this.#position)) {
      if (signal.aborted) return;
      this.#position = line.position;
      yield { type: "line", ...line };
      if (bytesOf(this.#position) >= enough) return;
    }
  }
}

function bytesOf({ output, errors }: LinePosition): number {
  return output + errors;
}

function notAPosition(batchId: string): QuernError {
  return new QuernError(
    "invalid_request",
    `Last-Event-ID is no id of a line event of ${batchId}: leave it out to begin with the first line`,
    { param: "last-event-id" },
  );
}
