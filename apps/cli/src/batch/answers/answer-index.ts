import { open } from "node:fs/promises";
import { isAnswer, parseResultLine, type ResultLine, readResultLines } from "./result-line.ts";

/** Where each request's answer stands in a file of result lines: 12 bytes a request, whatever the answers' size. */
export class AnswerIndex {
  readonly #path: string;
  readonly #offsets: Float64Array;
  readonly #bytes: Uint32Array;
  #count = 0;

  private constructor(path: string, total: number) {
    this.#path = path;
    this.#offsets = new Float64Array(total).fill(-1);
    this.#bytes = new Uint32Array(total);
  }

  static async of(path: string, ids: ReadonlyMap<string, number>): Promise<AnswerIndex> {
    const index = new AnswerIndex(path, ids.size);
    for await (const { result, offset, bytes } of readResultLines(path)) {
      const request = ids.get(result.custom_id);
      if (request === undefined || index.has(request) || !isAnswer(result)) continue;
      index.#offsets[request] = offset;
      index.#bytes[request] = bytes;
      index.#count += 1;
    }
    return index;
  }

  /** Requests that have an answer. */
  get count(): number {
    return this.#count;
  }

  has(request: number): boolean {
    return (this.#offsets[request] ?? -1) >= 0;
  }

  /** Opens the file for as long as answers are read, in any order. */
  async open(): Promise<AnswerReader> {
    const file = this.#count === 0 ? null : await open(this.#path, "r");
    return {
      read: async (request) => {
        if (file === null || !this.has(request)) return null;
        const bytes = this.#bytes[request] ?? 0;
        const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, this.#offsets[request] ?? 0);
        return parseResultLine(buffer.toString("utf8"));
      },
      [Symbol.asyncDispose]: async () => file?.close(),
    };
  }
}

export interface AnswerReader extends AsyncDisposable {
  /** null: it has no answer. */
  read(request: number): Promise<ResultLine | null>;
}
