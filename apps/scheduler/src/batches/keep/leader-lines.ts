import { text } from "node:stream/consumers";
import { fileKey } from "@quern/shared/files/file-key";
import { readLines } from "@quern/shared/files/read-lines";
import type { CollectedFiles } from "./collected-files.ts";
import type { Keeping } from "./keeping.ts";
import type { OutputLine } from "./output-line.ts";

/** Of the lines that were read last, so that one with many copies is read once. */
const CACHE_CHARACTERS = 16 * 2 ** 20;
/** `id` comes first in every line that we write. */
const LINE_INDEX = /^\{"id":"batch_req_[0-9a-f-]{36}_(\d+)"/;

/** Lines that stand in a batch's files already, found by their index. 12 bytes for each line of the batch. */
export class LeaderLines {
  readonly #keeping: Keeping;
  readonly #tenant: string;
  readonly #kept: CollectedFiles["kept"];
  /** Of a line in the output file its offset; of one in the error file -1 - offset; NaN: it is in neither. */
  readonly #offsets: Float64Array;
  readonly #bytes: Int32Array;
  readonly #cache = new Map<number, string>();
  #cached = 0;

  constructor(keeping: Keeping, tenant: string, kept: CollectedFiles["kept"], lines: number) {
    this.#keeping = keeping;
    this.#tenant = tenant;
    this.#kept = kept;
    this.#offsets = new Float64Array(lines).fill(Number.NaN);
    this.#bytes = new Int32Array(lines);
  }

  /** Walks through both files once. */
  async find(): Promise<void> {
    for (const file of ["output", "errors"] as const) {
      const lines = readLines(this.#stream(file), { maxLineBytes: Number.POSITIVE_INFINITY });
      for await (const fileLine of lines) {
        if (!("line" in fileLine)) continue;
        const index = Number(LINE_INDEX.exec(fileLine.line)?.[1] ?? Number.NaN);
        if (!(index < this.#offsets.length)) continue;
        this.#offsets[index] = file === "output" ? fileLine.offset : -1 - fileLine.offset;
        this.#bytes[index] = fileLine.bytes;
      }
      this.#keeping.signal.throwIfAborted();
    }
  }

  /** null: it stands in neither file. */
  async read(index: number): Promise<OutputLine | null> {
    const place = this.#offsets[index] ?? Number.NaN;
    if (Number.isNaN(place)) return null;
    const file = place < 0 ? "errors" : "output";
    const start = place < 0 ? -1 - place : place;
    const cached = this.#cache.get(index);
    if (cached !== undefined) return { file, text: cached };
    const line = await text(this.#stream(file, { start, end: start + (this.#bytes[index] ?? 0) }));
    this.#remember(index, line);
    return { file, text: line };
  }

  /** What was read first goes first. */
  #remember(index: number, line: string): void {
    this.#cache.set(index, line);
    this.#cached += line.length;
    for (const [oldest, { length }] of this.#cache) {
      if (this.#cached <= CACHE_CHARACTERS) return;
      this.#cache.delete(oldest);
      this.#cached -= length;
    }
  }

  #stream(file: OutputLine["file"], range: { start?: number; end?: number } = {}) {
    const { outputFileId, errorFileId, output, errors } = this.#kept;
    const [id, segments] = file === "output" ? [outputFileId, output] : [errorFileId, errors];
    return this.#keeping.files.readSegments(fileKey({ tenant: this.#tenant, id }), segments, range);
  }
}
