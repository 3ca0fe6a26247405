import type { Redis } from "ioredis";
import { type EndedLine, endedLineSchema } from "../contract/batch.ts";
import type { BatchStatus } from "../contract/batch-lifecycle.ts";
import type { JobError, NewJob } from "../contract/job.ts";
import type { TerminalState } from "../contract/lifecycle.ts";
import { type LineOfBatch, lineJobId } from "../contract/line-job.ts";
import {
  batchKey,
  endedLinesKey,
  jobKey,
  linePositionsKey,
  lineRetriesKey,
  lineTriesKey,
  liveLinesKey,
  outboxKey,
} from "../contract/names.ts";
import { redisNowMs } from "./deadlines.ts";
import { newJobFields } from "./job-fields.ts";
import { loadScript, runScript } from "./script.ts";

/**
 * The lines of a batch on their way: each is fed (made a job, and put into its model's queue), ends once, and waits in the
 * batch's outbox until its end stands in a file. Which lines have ended is one bit each; all else is there only for the
 * lines that are under way, so that what a batch takes of Redis does not grow with its length.
 */
const FEED = loadScript("feed_lines.lua");
const END = loadScript("end_lines.lua");
const DROP_LIVE = loadScript("drop_live_line.lua");
const SAVE_COLLECTED = loadScript("save_collected.lua");

/** A line as it becomes a job. */
export interface FedLine {
  index: number;
  /** Where it stands in the input, in bytes. */
  offset: number;
  bytes: number;
  job: Omit<NewJob, "id" | "line"> & { line: NonNullable<NewJob["line"]> };
}

/**
 * Makes jobs of lines; the caller then puts a reference to each into its queue. Both may be done again.
 * @returns the ids of the jobs that want a reference: a line that has ended wants none. null: the batch takes no more lines.
 */
export async function feedLines(redis: Redis, batchId: string, lines: FedLine[]): Promise<string[] | null> {
  const jobs = lines.map(({ index, job }) => ({ ...job, id: lineJobId({ batchId, index }) }));
  const [kind, ...wanted] = (await runScript(
    redis,
    FEED,
    [
      batchKey(batchId),
      endedLinesKey(batchId),
      liveLinesKey(batchId),
      lineRetriesKey(batchId),
      linePositionsKey(batchId),
      ...jobs.map(({ id }) => jobKey(id)),
    ],
    lines.flatMap(({ index, offset, bytes, job }, at) => {
      const fields = newJobFields(jobs[at] as NewJob);
      return [index, offset, bytes, job.line.estimatedTokens, fields.length, ...fields];
    }),
  )) as [string, ...number[]];
  if (kind === "stopped") return null;
  return jobs.filter((_, at) => wanted[at] === 1).map(({ id }) => id);
}

/** A line that ends without having been a job. */
export interface UnfedLine {
  index: number;
  customId: string;
  copies: number;
  error: JobError;
}

/** Ends lines that are no jobs, in whatever status the batch is. Done again it changes nothing. */
export async function endLines(
  redis: Redis,
  batchId: string,
  state: Exclude<TerminalState, "completed">,
  lines: UnfedLine[],
  nowMs: number,
): Promise<{ ended: number }> {
  const keys = [
    batchKey(batchId),
    endedLinesKey(batchId),
    liveLinesKey(batchId),
    outboxKey(batchId),
    lineRetriesKey(batchId),
    lineTriesKey(batchId),
    linePositionsKey(batchId),
  ];
  const args = lines.flatMap(({ index, customId, copies, error }) => [
    index,
    customId,
    copies,
    JSON.stringify(error),
  ]);
  return { ended: (await runScript(redis, END, keys, [state, nowMs, ...args])) as number };
}

/** Of each of these lines, whether it has ended. */
export async function haveEnded(redis: Redis, batchId: string, indexes: number[]): Promise<boolean[]> {
  const pipeline = redis.pipeline();
  for (const index of indexes) pipeline.getbit(endedLinesKey(batchId), index);
  return ((await pipeline.exec()) ?? []).map(([error, bit]) => {
    if (error) throw error;
    return bit === 1;
  });
}

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
  const fields: Record<string, string> = {};
  for (let at = 0; at + 1 < values.length; at += 2) fields[values[at] as string] = values[at + 1] as string;
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
  /** How many saves of this epoch came before; null: nobody counts. */
  savesBefore: number | null;
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
  const args = [epoch, JSON.stringify(collected), through, firstKept, savesBefore ?? "", unanswered, bytes];
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

export interface LiveLine {
  index: number;
  jobId: string;
  /** By Redis' clock. */
  fedAtMs: number;
}

/** The lines that are jobs just now, those fed first in front. */
export async function readLiveLines(redis: Redis, batchId: string, count: number): Promise<LiveLine[]> {
  const replies = await redis.zrange(liveLinesKey(batchId), "0", String(count - 1), "WITHSCORES");
  const lines: LiveLine[] = [];
  for (let at = 0; at + 1 < replies.length; at += 2) {
    const index = Number(replies[at]);
    lines.push({ index, jobId: lineJobId({ batchId, index }), fedAtMs: Number(replies[at + 1]) });
  }
  return lines;
}

/** Forgets a live line that has no record, which only a Redis that lost writes can show; the feeder finds that it is missing. */
export async function dropLiveLine(
  redis: Redis,
  { batchId, index }: LineOfBatch,
): Promise<{ dropped: boolean }> {
  const record = jobKey(lineJobId({ batchId, index }));
  const keys = [batchKey(batchId), liveLinesKey(batchId), linePositionsKey(batchId), record];
  return { dropped: (await runScript(redis, DROP_LIVE, keys, [index])) === 1 };
}

/** What a feeder goes by. */
export interface FeedState {
  status: BatchStatus;
  isPaused: boolean;
  total: number;
  /** Completed and failed. */
  ended: number;
  live: number;
  /** What the live lines take in the input, and what they were thought to cost. */
  liveBytes: number;
  liveTokens: number;
  /** Indexes of the lines that are to be fed again by now. */
  dueRetries: number[];
  /** Lines that wait for their next try, due or not. */
  retries: number;
  /** Ends that stand in no file yet: many, when the files can't be written. */
  outbox: number;
  outboxBytes: number;
  /** Tokens that ended lines were thought to cost when they were fed, and what they did cost. */
  settledTokens: number;
  spentTokens: number;
}

const FEED_FIELDS = [
  "status",
  "pausedAtMs",
  "total",
  "completed",
  "failed",
  "settledTokens",
  "spentTokens",
  "liveBytes",
  "liveTokens",
  "outboxBytes",
];

/**
 * In the order of the ids; null: there is no such batch. One round trip, and one for the time. Other commands may come in
 * between those of one batch: they are in the order in which lines move, so that a line may count twice and none is missed.
 */
export async function readFeedStates(redis: Redis, batchIds: string[]): Promise<(FeedState | null)[]> {
  const nowMs = await redisNowMs(redis);
  const pipeline = redis.pipeline();
  for (const id of batchIds) {
    pipeline
      .zrange(lineRetriesKey(id), "-inf", String(nowMs), "BYSCORE", "LIMIT", 0, 100)
      .zcard(liveLinesKey(id))
      .zcard(lineRetriesKey(id))
      .hmget(batchKey(id), ...FEED_FIELDS)
      .xlen(outboxKey(id));
  }
  const replies = ((await pipeline.exec()) ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
  return batchIds.map((_, at) => {
    const [due, live, retries, fields, outbox] = replies.slice(at * 5, at * 5 + 5) as [
      string[],
      number,
      number,
      (string | null)[],
      number,
    ];
    const [status, pausedAtMs, ...counts] = fields;
    if (status == null) return null;
    const [total = 0, completed = 0, failed = 0, settledTokens = 0, spentTokens = 0, ...alive] =
      counts.map(Number);
    const [liveBytes = 0, liveTokens = 0, outboxBytes = 0] = alive;
    return {
      status: status as BatchStatus,
      isPaused: pausedAtMs != null,
      total,
      ended: completed + failed,
      live,
      liveBytes,
      liveTokens,
      dueRetries: due.map(Number),
      retries,
      outbox,
      outboxBytes,
      settledTokens,
      spentTokens,
    };
  });
}

/** How far the input has been fed, in the feeder's own words. Losing the last one costs time, no line. */
export async function saveFeedCursor(redis: Redis, batchId: string, cursor: unknown): Promise<void> {
  await redis.hset(batchKey(batchId), "feedCursor", JSON.stringify(cursor));
}

/** null: nothing was fed yet. */
export async function readFeedCursor(redis: Redis, batchId: string): Promise<unknown> {
  const json = await redis.hget(batchKey(batchId), "feedCursor");
  return json === null ? null : JSON.parse(json);
}
