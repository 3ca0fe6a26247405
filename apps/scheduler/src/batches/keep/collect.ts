import type { BatchRecord, EndedLine } from "@quern/shared/contract/batch";
import { type OutboxEntry, readOutbox } from "@quern/shared/redis/batch-outbox";
import type { CollectedFiles } from "./collected-files.ts";
import type { Keeping } from "./keeping.ts";
import { type OutputLine, toOutputLine } from "./output-line.ts";

/** Of a chunk, which is one append to each file and one save. */
const MAX_CHUNK_LINES = 1_000;
const TARGET_CHUNK_BYTES = 4 * 2 ** 20;
/** Before it is known how long this batch's lines are. */
const FIRST_CHUNK_LINES = 64;

/** What a look into the outbox came to: nothing, all of it, or as much as goes at once. */
export type Harvest = { kind: "none" | "all" | "chunk"; bytes: number };

/** Brings the ends of lines from a batch's outbox into its files, a chunk at a time. */
export class Collector {
  readonly #keeping: Keeping;
  readonly #batch: BatchRecord;
  readonly #files: CollectedFiles;
  #chunkLines = FIRST_CHUNK_LINES;

  constructor(keeping: Keeping, batch: BatchRecord, files: CollectedFiles) {
    this.#keeping = keeping;
    this.#batch = batch;
    this.#files = files;
  }

  /** @throws KeepingLost, QuernError of the store: then the outbox is as it was. */
  async collect(): Promise<Harvest> {
    const { redis, batchId } = this.#keeping;
    const asked = this.#chunkLines;
    const entries = await readOutbox(redis, batchId, asked);
    const last = entries.at(-1);
    if (last === undefined) return { kind: "none", bytes: 0 };
    const lines = entries.map((entry) => this.#toLine(entry));
    const collected = { throughId: last.id, bytes: 0, unanswered: 0 };
    for (const [at, { line, bytes }] of entries.entries()) {
      collected.bytes += bytes;
      if (isUnanswered(line, lines[at])) collected.unanswered += 1 + line.copies;
    }
    await this.#files.append(lines, { collected });
    const bytes = lines.reduce((sum, { text }) => sum + text.length, 0);
    const fitting = Math.floor(TARGET_CHUNK_BYTES / (bytes / lines.length));
    this.#chunkLines = Math.max(1, Math.min(fitting, MAX_CHUNK_LINES));
    return { kind: entries.length < asked ? "all" : "chunk", bytes };
  }

  /** One that can't be read, or written, leaves the others to be: it is an error of ours. */
  #toLine({ line, fault }: OutboxEntry): OutputLine {
    try {
      if (fault !== null) throw fault;
      return toOutputLine(this.#batch, line);
    } catch (error) {
      this.#keeping.events.lineBroke(this.#batch.id, line.index, error as Error);
      return toOutputLine(this.#batch, { ...line, state: "failed", result: null, error: null });
    }
  }

  /** Until the outbox is empty. */
  async collectAll(): Promise<void> {
    while ((await this.collect()).kind === "chunk") this.#keeping.signal.throwIfAborted();
  }
}

/** It was counted as completed, and stands among the errors. */
function isUnanswered({ state }: EndedLine, written: OutputLine | undefined): boolean {
  return state === "completed" && written?.file === "errors";
}
