import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { type InputSource, readInputLines } from "./input-lines.ts";

/** What goes into one batch at most. */
export interface BatchBounds {
  requests: number;
  bytes: number;
}

export interface WrittenRequests {
  count: number;
  /** The index of the first that is wanted and found no room; null: all that are wanted are written. */
  next: number | null;
}

/** Writes the requests that `isWanted` to a file, as the input of a batch: as many as it holds, and at least one. */
export async function writeRequests(
  source: InputSource,
  isWanted: (index: number) => boolean,
  bounds: BatchBounds,
  path: string,
  signal: AbortSignal,
): Promise<WrittenRequests> {
  const written: WrittenRequests = { count: 0, next: null };
  let bytes = 0;
  async function* requests() {
    for await (const { index, request } of readInputLines(source)) {
      if (!isWanted(index)) continue;
      const line = `${request}\n`;
      bytes += Buffer.byteLength(line);
      if (written.count > 0 && (written.count === bounds.requests || bytes > bounds.bytes)) {
        written.next = index;
        return;
      }
      written.count += 1;
      yield line;
    }
  }
  await pipeline(requests, createWriteStream(path), { signal });
  return written;
}

/** Where the n-th of these requests (from 1) stands in the input. */
export async function placeOfRequest(
  source: InputSource,
  isWanted: (index: number) => boolean,
  nth: number,
): Promise<string> {
  let count = 0;
  for await (const { index, where } of readInputLines(source)) {
    if (!isWanted(index)) continue;
    count += 1;
    if (count === nth) return where;
  }
  return `line ${nth}`;
}
