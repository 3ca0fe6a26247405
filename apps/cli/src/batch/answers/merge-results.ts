import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { type ResultLine, readResultLines } from "./result-line.ts";

export interface Merge {
  target: string;
  /** Files of result lines; the earlier one's line stands where several have one of the same custom_id. */
  sources: readonly string[];
  ids: ReadonlyMap<string, number>;
  isWanted: (index: number, result: ResultLine) => boolean;
  signal: AbortSignal;
}

/**
 * Writes the lines of several files to one, each custom_id once. `target` may be one of the sources: it changes whole or not at
 * all, and is not there when there are none. Resolves with their number.
 */
export async function mergeResults({ target, sources, ids, isWanted, signal }: Merge): Promise<number> {
  const seen = new Uint8Array(ids.size);
  let count = 0;
  async function* merged() {
    for (const source of sources) {
      for await (const { result, text } of readResultLines(source)) {
        const index = ids.get(result.custom_id);
        if (index === undefined || seen[index] === 1 || !isWanted(index, result)) continue;
        seen[index] = 1;
        count += 1;
        yield `${text}\n`;
      }
    }
  }
  const part = `${target}.part`;
  try {
    await pipeline(merged, createWriteStream(part, { flush: true }), { signal });
    if (count === 0) await rm(target, { force: true });
    else await rename(part, target);
  } finally {
    await rm(part, { force: true });
  }
  return count;
}
