import { isUtf8 } from "node:buffer";

export interface LinePosition {
  /** From 1, as editors count: blank lines too. */
  number: number;
  /** Of its first byte in the file. */
  offset: number;
  /** Without the line break. */
  bytes: number;
}

/** One line of a JSONL file: its text, or why it has none. */
export type FileLine = LinePosition & ({ line: string } | { tooLong: true } | { notUtf8: true });

export interface ReadLinesOptions {
  /** Longer lines are passed over without being kept. */
  maxLineBytes: number;
  /** Where `source` begins, when that is not the beginning of the file: at the first byte of a line. */
  from?: { number: number; offset: number };
}

const LF = 0x0a;
const CR = 0x0d;
const UTF8_BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** Space and tab, beside a CR. */
const BLANK = /^[ \t\r]*$/;

/**
 * The lines of a byte stream, split at LF or CRLF; the last one may lack its break. A byte order mark is skipped, and so are blank lines.
 * Keeps one line and one chunk of `source` in memory at most.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  { maxLineBytes, from = { number: 1, offset: 0 } }: ReadLinesOptions,
): AsyncGenerator<FileLine, void, undefined> {
  const open = new OpenLine(from, maxLineBytes);
  for await (const bytes of from.offset === 0 ? withoutMark(source, open) : source) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (let lf = chunk.indexOf(LF); lf !== -1; lf = chunk.indexOf(LF, at)) {
      open.add(chunk.subarray(at, lf));
      const line = open.end(1);
      if (line !== null) yield line;
      at = lf + 1;
    }
    if (at < chunk.length) open.add(chunk.subarray(at));
  }
  const last = open.end(0);
  if (last !== null) yield last;
}

/** The line that is being read: pieces of chunks until its break comes, or only their length once it is too long. */
class OpenLine {
  readonly #maxBytes: number;
  #number: number;
  #offset: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #lastByte = 0;

  constructor({ number, offset }: { number: number; offset: number }, maxBytes: number) {
    this.#number = number;
    this.#offset = offset;
    this.#maxBytes = maxBytes;
  }

  /** Bytes that belong to no line. */
  skip(bytes: number): void {
    this.#offset += bytes;
  }

  add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    this.#lastByte = piece[piece.length - 1] ?? 0;
    // One more than allowed: it may be the CR of the line break.
    if (this.#bytes > this.#maxBytes + 1) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  /** The line, unless it is blank; the next one begins `breakBytes` after it. */
  end(breakBytes: number): FileLine | null {
    const bytes = this.#lastByte === CR && this.#bytes > 0 ? this.#bytes - 1 : this.#bytes;
    const position = { number: this.#number, offset: this.#offset, bytes };
    const content = this.#content(bytes);
    this.#number += 1;
    this.#offset += this.#bytes + breakBytes;
    this.#pieces = [];
    this.#bytes = 0;
    this.#lastByte = 0;
    if (content === null) return { ...position, tooLong: true };
    if (!isUtf8(content)) return { ...position, notUtf8: true };
    const line = content.toString("utf8");
    return BLANK.test(line) ? null : { ...position, line };
  }

  #content(bytes: number): Buffer | null {
    if (bytes > this.#maxBytes) return null;
    const [first = Buffer.alloc(0), ...more] = this.#pieces;
    return (more.length === 0 ? first : Buffer.concat(this.#pieces)).subarray(0, bytes);
  }
}

/** The chunks of a stream but for a byte order mark at its beginning, which may come in pieces. */
async function* withoutMark(
  source: AsyncIterable<Uint8Array>,
  open: OpenLine,
): AsyncGenerator<Uint8Array, void, undefined> {
  let head: Buffer | null = Buffer.alloc(0);
  for await (const chunk of source) {
    if (head === null) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < UTF8_BOM.length && UTF8_BOM.subarray(0, head.length).equals(head)) continue;
    const marked = head.subarray(0, UTF8_BOM.length).equals(UTF8_BOM);
    if (marked) open.skip(UTF8_BOM.length);
    yield marked ? head.subarray(UTF8_BOM.length) : head;
    head = null;
  }
  if (head !== null && head.length > 0) yield head;
}
