import type { BatchRecord } from "@quern/shared/contract/batch";
import { parseBatchLine } from "@quern/shared/contract/batch-line";
import { countCopies, NO_LEADER, readLeaders } from "@quern/shared/files/line-leaders";
import { endLines, type UnfedLine } from "@quern/shared/redis/batch-lines";
import { readLineStates } from "@quern/shared/redis/line-states";
import type { Collector } from "./collect.ts";
import { inputLines } from "./input-lines.ts";
import type { Keeping } from "./keeping.ts";
import { ENDED_WITH_BATCH } from "./output-line.ts";

/** What is looked at in one go, whichever comes first. */
const CHUNK_LINES = 500;
const CHUNK_BYTES = 4 * 2 ** 20;

/**
 * Ends all lines that have not ended, and are no jobs, as the batch ends: in the order of the input, a chunk at a time, and
 * what they come to is collected before the next, so that Redis never holds more of them than one chunk.
 * @throws QuernError `file_missing` when the input is gone; KeepingLost.
 */
export async function endUnfedLines(
  keeping: Keeping,
  record: BatchRecord,
  collector: Collector,
  state: "cancelled" | "expired",
): Promise<void> {
  const leaders = await readLeaders(keeping.files, record);
  const copies = leaders === null ? null : countCopies(leaders);
  let [first, texts, bytes]: [number, string[], number] = [0, [], 0];
  const endChunk = async () => {
    keeping.signal.throwIfAborted();
    const states = await readLineStates(keeping.redis, record.id, first, texts.length);
    const left = texts.flatMap((text, at): UnfedLine[] => {
      const index = first + at;
      if (states[at] === "ended" || (leaders?.[index] ?? NO_LEADER) !== NO_LEADER) return [];
      return [
        { index, customId: customIdOf(text), copies: copies?.[index] ?? 0, error: ENDED_WITH_BATCH[state] },
      ];
    });
    if (left.length > 0) await endLines(keeping.redis, record.id, state, left, Date.now());
    await collector.collectAll();
    [first, texts, bytes] = [first + texts.length, [], 0];
  };
  for await (const fileLine of inputLines(keeping, record)) {
    texts.push("line" in fileLine ? fileLine.line : "");
    bytes += fileLine.bytes;
    if (texts.length >= CHUNK_LINES || bytes >= CHUNK_BYTES) await endChunk();
  }
  await endChunk();
}

function customIdOf(text: string): string {
  const read = parseBatchLine(text);
  if ("fault" in read) throw new Error(`a line of a batch that was valid is none: ${read.fault.code}`);
  return read.line.custom_id;
}
