import type { Redis } from "ioredis";
import { type EndedLine, endedLineSchema } from "../contract/batch.ts";
import { batchKey, outboxKey } from "../contract/names.ts";
import { pairsOf } from "./replies.ts";
import { loadScript, runScript } from "./script.ts";

/** Ends of a batch's lines wait here (`line_end.lua` puts them in) until its keeper has them in files. */
const SAVE_COLLECTED = loadScript("save_collected.lua");

export interface OutboxEntry {
  /** Of the outbox. */
  id: string;
  /** What it counts for in `FeedState.outboxBytes`. */
  bytes: number;
  line: EndedLine;
  /** Why what the line came to can't be read: then `line` tells which one it is, and nothing else. null: it can be. */
  fault: Error | null;
}

/** The oldest ends that stand in no file yet, up to `count`. */
export async function readOutbox(redis: Redis, batchId: string, count: number): Promise<OutboxEntry[]> {
  const entries = await redis.xrange(outboxKey(batchId), "-", "+", "COUNT", count);
  return entries.map(([id, values]) => ({ id, ...toEndedLine(values) }));
}

function toEndedLine(values: string[]): Omit<OutboxEntry, "id"> {
  const fields: Record<string, string> = Object.fromEntries(pairsOf(values));
  const json = (name: string) => (fields[name] ? JSON.parse(fields[name]) : null);
  const line = {
    index: Number(fields.index),
    customId: fields.customId,
    copies: Number(fields.copies),
    state: fields.state,
    createdAtMs: Number(fields.createdAtMs),
    endedAtMs: Number(fields.endedAtMs),
  };
  const bytes = Number(fields.bytes ?? 0);
  try {
    const came = {
      echoed: json("echoed"),
      usage: json("usage"),
      result: json("result"),
      error: json("error"),
    };
    return { bytes, line: endedLineSchema.parse({ ...line, ...came }), fault: null };
  } catch (error) {
    // A worker of another version may write what this one does not know.
    const nothing = { echoed: null, usage: null, result: null, error: null };
    return { bytes, line: endedLineSchema.parse({ ...line, ...nothing }), fault: error as Error };
  }
}

export interface Collecting {
  /** The last entry of the outbox that the files hold now: it goes, with those before it. null: none does. */
  throughId: string | null;
  /** Of these entries. */
  bytes: number;
  /** How many saves of this epoch came before. */
  savesBefore: number;
  /** Lines that were counted as completed, and have no answer that can be written: from now on they count as failed. */
  unanswered: number;
}

/**
 * Records `collected` (how far the batch's files are, as its keeper has it) and drops what is collected from the outbox.
 * A Redis that has lost one of the saves before, or the entry `throughId`, has lines run again that the files hold already:
 * then nothing is saved.
 * @returns whether it was: the batch is still this epoch's, and Redis has not gone back in time.
 */
export async function saveCollected(
  redis: Redis,
  batchId: string,
  epoch: number,
  collected: unknown,
  { throughId, bytes, savesBefore, unanswered }: Collecting,
): Promise<{ saved: boolean }> {
  const [through, firstKept] = throughId === null ? ["", ""] : [throughId, idAfter(throughId)];
  const args = [epoch, JSON.stringify(collected), through, firstKept, savesBefore, unanswered, bytes];
  const saved = await runScript(redis, SAVE_COLLECTED, [batchKey(batchId), outboxKey(batchId)], args);
  return { saved: saved === 1 };
}

function idAfter(id: string): string {
  const [ms, seq] = id.split("-");
  return `${ms}-${Number(seq) + 1}`;
}

/** What `saveCollected` recorded last; null: nothing yet. */
export async function readCollected(redis: Redis, batchId: string): Promise<unknown> {
  const json = await redis.hget(batchKey(batchId), "collected");
  return json === null ? null : JSON.parse(json);
}
