import type { Redis } from "ioredis";
import type { BatchStatus } from "../contract/batch-lifecycle.ts";
import { batchKey, lineRetriesKey, liveLinesKey, outboxKey } from "../contract/names.ts";
import { redisNowMs } from "./deadlines.ts";

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
