import type { Redis } from "ioredis";
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
import { newJobFields } from "./job-fields.ts";
import { pairsOf } from "./replies.ts";
import { loadScript, runScript } from "./script.ts";

/**
 * The lines of a batch on their way: each is fed (made a job, and put into its model's queue), ends once, and waits in the
 * batch's outbox until its end stands in a file. Which lines have ended is one bit each; all else is there only for the
 * lines that are under way, so that what a batch takes of Redis does not grow with its length.
 */
const FEED = loadScript("feed_lines.lua");
const END = loadScript("end_lines.lua");
const DROP_LIVE = loadScript("drop_live_line.lua");

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

export interface LiveLine {
  index: number;
  jobId: string;
  /** By Redis' clock. */
  fedAtMs: number;
}

/** The lines that are jobs just now, those fed first in front. */
export async function readLiveLines(redis: Redis, batchId: string, count: number): Promise<LiveLine[]> {
  const replies = await redis.zrange(liveLinesKey(batchId), "0", String(count - 1), "WITHSCORES");
  return pairsOf(replies).map(([member, score]) => {
    const index = Number(member);
    return { index, jobId: lineJobId({ batchId, index }), fedAtMs: Number(score) };
  });
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
