import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { type InputSource, readInputLines } from "./input-lines.ts";

/** Writes the requests that `isWanted` to a file, as the input of a batch. Resolves with their number. */
export async function writeRequests(
  source: InputSource,
  isWanted: (index: number) => boolean,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  async function* requests() {
    for await (const { index, request } of readInputLines(source)) {
      if (!isWanted(index)) continue;
      count += 1;
      yield `${request}\n`;
    }
  }
  await pipeline(requests, createWriteStream(path), { signal });
  return count;
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
