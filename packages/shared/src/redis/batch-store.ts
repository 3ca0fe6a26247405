import type { Redis } from "ioredis";
import type { BatchFault, BatchProgress, BatchRecord, NewBatch } from "../contract/batch.ts";
import {
  BATCH_LIFECYCLE,
  BATCH_STATUSES,
  type BatchEvent,
  type BatchStatus,
  isBatchOver,
} from "../contract/batch-lifecycle.ts";
import {
  BATCH_CHANNEL,
  batchIndexKey,
  batchKey,
  endedLinesKey,
  LIVE_BATCHES_KEY,
  linePositionsKey,
  lineRetriesKey,
  lineTriesKey,
  liveLinesKey,
  outboxKey,
  TENANTS_KEY,
  webhookKey,
} from "../contract/names.ts";
import { newBatchFields, parseBatchValues, RECORD_FIELDS } from "./batch-fields.ts";
import { pairsOf } from "./replies.ts";
import { loadScript, runScript } from "./script.ts";

const CREATE = loadScript("create_batch.lua");
const BEGIN_KEEPING = loadScript("begin_keeping.lua");
const MOVE = loadScript("move_batch.lua");
const PAUSE = loadScript("pause_batch.lua");

/**
 * Writes a batch down; from here on it is accepted. A scheduler that sweeps puts it into the queue of batches if its
 * submitter does not come to that. The entry among the live ones comes first, so that no record is ever left without.
 * `created` is false when there is a batch of this id, which stays as it is.
 */
export async function createBatch(redis: Redis, batch: NewBatch): Promise<{ created: boolean }> {
  await redis.zadd(LIVE_BATCHES_KEY, batch.createdAtMs, batch.id);
  const args = [batch.webhook?.secret ?? "", ...Object.entries(newBatchFields(batch)).flat()];
  const created = await runScript(redis, CREATE, [batchKey(batch.id), webhookKey(batch.id)], args);
  await Promise.all([
    redis.sadd(TENANTS_KEY, batch.tenant),
    redis.zadd(batchIndexKey(batch.tenant), 0, batch.id),
  ]);
  return { created: created === 1 };
}

export async function readBatch(redis: Redis, batchId: string): Promise<BatchRecord | null> {
  return parseBatchValues(await redis.hmget(batchKey(batchId), ...RECORD_FIELDS));
}

/** The newest first. Batches whose record expired drop out of the index as they are met. */
export async function listBatches(
  redis: Redis,
  { tenant, limit, after }: { tenant: string; limit: number; after: string | null },
): Promise<{ records: BatchRecord[]; hasMore: boolean }> {
  const records: BatchRecord[] = [];
  let bound = after;
  for (;;) {
    const from = bound === null ? "+" : `(${bound}`;
    const ids = await redis.zrange(
      batchIndexKey(tenant),
      from,
      "-",
      "BYLEX",
      "REV",
      "LIMIT",
      "0",
      String(limit + 1),
    );
    const found = await Promise.all(ids.map((id) => readBatch(redis, id)));
    for (const [at, record] of found.entries()) {
      if (record === null) await redis.zrem(batchIndexKey(tenant), ids[at] as string);
      else if (records.length === limit) return { records, hasMore: true };
      else records.push(record);
    }
    if (ids.length <= limit) return { records, hasMore: false };
    bound = ids.at(-1) as string;
  }
}

/** The batches that are not over, the oldest first. */
export async function liveBatchIds(redis: Redis): Promise<string[]> {
  return await redis.zrange(LIVE_BATCHES_KEY, "0", "-1");
}

/** In the order of the ids; null: there is no such batch. */
export async function readBatchStatuses(redis: Redis, batchIds: string[]): Promise<(BatchStatus | null)[]> {
  const pipeline = redis.pipeline();
  for (const id of batchIds) pipeline.hget(batchKey(id), "status");
  const replies = batchIds.length === 0 ? [] : ((await pipeline.exec()) ?? []);
  return replies.map(([error, status]) => {
    if (error) throw error;
    return status as BatchStatus | null;
  });
}

export interface LiveBatch {
  id: string;
  createdAtMs: number;
  /** A submitter that died half-way leaves an entry without. */
  hasRecord: boolean;
}

/** Likewise, with what whoever looks after all of them goes by. */
export async function readLiveBatches(redis: Redis): Promise<LiveBatch[]> {
  const flat = await redis.zrange(LIVE_BATCHES_KEY, "0", "-1", "WITHSCORES");
  const entries = pairsOf(flat).map(([id, createdAtMs]) => ({ id, createdAtMs: Number(createdAtMs) }));
  const pipeline = redis.pipeline();
  for (const { id } of entries) pipeline.exists(batchKey(id));
  const replies = entries.length === 0 ? [] : ((await pipeline.exec()) ?? []);
  return entries.map((entry, at) => {
    const [error, exists] = replies[at] ?? [];
    if (error) throw error;
    return { ...entry, hasRecord: exists === 1 };
  });
}

/** The id of a batch that is not over and reads this file; null: there is none. */
export async function liveBatchOfFile(redis: Redis, fileId: string): Promise<string | null> {
  const ids = await liveBatchIds(redis);
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hmget(batchKey(id), "inputFileId", "status");
  const reads = ((await pipeline.exec()) ?? []).map(([error, reply]) => {
    if (error) throw error;
    const [inputFileId, status] = reply as (string | null)[];
    // One that is over stays among the live ones until it is retired.
    return inputFileId === fileId && !isBatchOver(status as BatchStatus);
  });
  return ids.find((_, at) => reads[at]) ?? null;
}

/** @returns the epoch of the scheduler that takes the batch over; null: there is no such batch. */
export async function beginKeeping(redis: Redis, batchId: string): Promise<number | null> {
  const epoch = (await runScript(redis, BEGIN_KEEPING, [batchKey(batchId)], [])) as number;
  return epoch === 0 ? null : epoch;
}

/** What is set together with a batch's status. */
export interface BatchChanges {
  model?: string;
  awaitedModel?: string;
  total?: number;
  errors?: BatchFault[];
  outputFileId?: string;
  errorFileId?: string;
  /** With what a batch that becomes `finalizing` leaves it again. */
  endsWith?: EndOfBatch;
}

export type EndOfBatch = Extract<BatchEvent, "completed" | "expired" | "rejected">;

export type BatchMove =
  | { kind: "moved" | "ignored"; status: BatchStatus }
  /** Another scheduler has the batch. */
  | { kind: "fenced" }
  | { kind: "gone" };

/**
 * Moves a batch on (`contract/batch-lifecycle.ts`), with the time at which its status changed.
 * @param epoch of the scheduler that sees it through; null: whoever may at any time, such as one who cancels it.
 */
export async function moveBatch(
  redis: Redis,
  batchId: string,
  event: BatchEvent,
  epoch: number | null,
  nowMs: number,
  changes: BatchChanges = {},
): Promise<BatchMove> {
  const moves = BATCH_STATUSES.flatMap((from) => {
    const outcome = BATCH_LIFECYCLE[from][event];
    return outcome === "ignore" ? [] : [{ from, to: outcome.to }];
  });
  // All statuses that an event leads to are one.
  const changed = moves.find(({ from, to }) => from !== to)?.to;
  const { model, awaitedModel, total, errors, outputFileId, errorFileId, endsWith } = changes;
  const fields = {
    ...(changed === undefined ? {} : { [TIME_OF_STATUS[changed]]: nowMs }),
    ...(model === undefined ? {} : { model }),
    ...(awaitedModel === undefined ? {} : { awaitedModel }),
    ...(total === undefined ? {} : { total }),
    ...(errors === undefined ? {} : { errors: JSON.stringify(errors) }),
    ...(outputFileId === undefined ? {} : { outputFileId }),
    ...(errorFileId === undefined ? {} : { errorFileId }),
    ...(endsWith === undefined ? {} : { endsWith }),
  };
  const args = [
    epoch ?? "",
    moves.length,
    ...moves.flatMap(({ from, to: next }) => [from, next]),
    ...Object.entries(fields).flat(),
  ];
  const [kind, status] = (await runScript(redis, MOVE, [batchKey(batchId)], args)) as string[];
  return { kind, status } as BatchMove;
}

/** Of a batch that is `finalizing`. */
export async function readEndOfBatch(redis: Redis, batchId: string): Promise<EndOfBatch> {
  return ((await redis.hget(batchKey(batchId), "endsWith")) ?? "completed") as EndOfBatch;
}

const TIME_OF_STATUS: Record<BatchStatus, string> = {
  validating: "createdAtMs",
  in_progress: "inProgressAtMs",
  finalizing: "finalizingAtMs",
  cancelling: "cancellingAtMs",
  completed: "completedAtMs",
  failed: "failedAtMs",
  expired: "expiredAtMs",
  cancelled: "cancelledAtMs",
};

/** Pauses a batch, or lets it go on; one that is over, or is being ended, stays as it is. null: there is no such batch. */
export async function pauseBatch(
  redis: Redis,
  batchId: string,
  what: "pause" | "resume",
  nowMs: number,
): Promise<BatchStatus | null> {
  const status = await runScript(redis, PAUSE, [batchKey(batchId)], [what, nowMs]);
  return status === "gone" ? null : (status as BatchStatus);
}

/** Tells the schedulers that a batch was changed. One that does not hear of it looks by itself, a little later. */
export async function announceBatch(redis: Redis, batchId: string): Promise<void> {
  await redis.publish(BATCH_CHANNEL, batchId);
}

export async function saveProgress(redis: Redis, batchId: string, progress: BatchProgress): Promise<void> {
  await redis.hset(batchKey(batchId), "progress", JSON.stringify(progress));
}

/** Takes an entry out of the live ones whose batch has no record: it counts as never accepted. */
export async function forgetBatch(redis: Redis, batchId: string): Promise<void> {
  await redis.zrem(LIVE_BATCHES_KEY, batchId);
}

/** A batch that is over: what only its run needed goes, its record is kept for `retentionSeconds`. */
export async function retireBatch(redis: Redis, batchId: string, retentionSeconds: number): Promise<void> {
  const run = [endedLinesKey, liveLinesKey, outboxKey, lineRetriesKey, lineTriesKey, linePositionsKey];
  await redis.del(...run.map((keyOf) => keyOf(batchId)));
  const counters = ["keeperSaves", "liveBytes", "liveTokens", "outboxBytes", "settledTokens", "spentTokens"];
  const onlyOfRun = ["collected", "feedCursor", "endsWith", ...counters];
  await redis.hdel(batchKey(batchId), ...onlyOfRun);
  await redis.expire(batchKey(batchId), retentionSeconds);
  // Last: whoever finds it still there does all of this again.
  await redis.zrem(LIVE_BATCHES_KEY, batchId);
}
