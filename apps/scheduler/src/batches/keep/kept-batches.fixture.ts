import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { BatchRecord, NewBatch } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { LIVE_BATCHES_KEY, MODELS_KEY } from "@quern/shared/contract/names";
import type { ModelDescription } from "@quern/shared/contract/worker";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { newFileId } from "@quern/shared/files/file-id";
import { fileKey } from "@quern/shared/files/file-key";
import { countCopies, NO_LEADER, readLeaders } from "@quern/shared/files/line-leaders";
import { type FedLine, feedLines, haveEnded, readLiveLines } from "@quern/shared/redis/batch-lines";
import { createBatch, readBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { claimJob, commitJob, type JobEnd } from "@quern/shared/redis/job-store";
import { fedLine, newBatch } from "@quern/shared/redis/new-batch.fixture";
import { startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../../events.ts";
import { DeliveryQueue } from "../../queue/delivery-queue.ts";
import { JobReferences } from "../../queue/job-references.ts";
import { ServedModels } from "../feed/served-models.ts";
import type { KeepContext } from "./keeping.ts";

export const MODEL = "tiny-qwen3";
const ENDPOINT = "/v1/chat/completions";
const never = new AbortController().signal;

export const description: ModelDescription = {
  model: MODEL,
  aliases: [],
  kind: "chat",
  embeddingDimensions: null,
  architecture: "qwen3",
  parameters: 1,
  experts: null,
  contextTokens: 512,
  thinking: "optional",
  fileBytes: 1,
  maxTokenBytes: null,
};

/** A Redis, a folder for files, and what keeping batches works with. */
export interface KeptBatches extends AsyncDisposable {
  /** Of the Redis. */
  url: string;
  redis: Redis;
  folder: string;
  files: DirectoryStore;
  context: KeepContext;
}

export async function startKeptBatches(): Promise<KeptBatches> {
  await using stack = new AsyncDisposableStack();
  const { url } = stack.use(await startRedis());
  const redis = connectRedis(url, "work", () => {});
  stack.defer(() => redis.disconnect());
  await redis.hset(MODELS_KEY, MODEL, JSON.stringify(description));
  const folder = await mkdtemp(join(tmpdir(), "quern-batches-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const files = new DirectoryStore(folder);
  const references = new JobReferences(redis, fail);
  stack.defer(() => references.close());
  const deliveries = new DeliveryQueue(redis, [0], fail);
  stack.defer(() => deliveries.close());
  const limits = { maxLines: 50_000, maxLineBytes: 2 ** 20 };
  const parts = { redis, files, references, deliveries, limits };
  const fleet = { fleet: new ServedModels(redis), modelWaitMs: 0 };
  const context = { ...parts, ...fleet, recordSeconds: 600, isCrowded: () => false, events: silent() };
  const started = stack.move();
  return { url, redis, folder, files, context, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Tells nobody anything. */
function silent(): SchedulerEvents {
  return new Proxy({} as SchedulerEvents, { get: () => () => {} });
}

function fail(error: Error): never {
  throw error;
}

export function inputLine(customId: string, body: object = {}): string {
  const messages = [{ role: "user", content: customId }];
  return JSON.stringify({
    custom_id: customId,
    method: "POST",
    url: ENDPOINT,
    body: { model: MODEL, messages, ...body },
  });
}

/** Uploads an input and makes a batch of it, as a gateway does both. */
export async function submitBatch(
  { redis, files }: Pick<KeptBatches, "redis" | "files">,
  lines: readonly string[],
  changes: Partial<NewBatch> = {},
): Promise<NewBatch> {
  const nowMs = Date.now();
  const batch = newBatch({
    inputFileId: newFileId(),
    createdAtMs: nowMs,
    expiresAtMs: nowMs + 3_600_000,
    ...changes,
  });
  await files.write(
    inputKey(batch),
    (async function* () {
      yield Buffer.from(lines.join("\n"));
    })(),
    never,
  );
  await createBatch(redis, batch);
  return batch;
}

export function inputKey({ tenant, inputFileId }: Pick<NewBatch, "tenant" | "inputFileId">): string {
  return fileKey({ tenant, id: inputFileId });
}

/** How line `index` ends: with its index for an answer, or, every fifth, with its own error. */
function endOf(index: number): JobEnd {
  const usage = { promptTokens: 10, completionTokens: 2, reasoningTokens: 0, cachedTokens: 4 };
  const end = { events: [], retentionSeconds: 60 };
  if (index % 5 === 4) {
    const error = { code: "invalid_request", message: "not like this", param: null };
    return { ...end, state: "failed", usage: null, result: null, error };
  }
  const result = {
    text: `answer ${index}`,
    reasoning: "",
    toolCalls: [],
    finishReason: "stop" as const,
    logprobs: null,
    alternatives: [],
  };
  return { ...end, state: "completed", usage, result, error: null };
}

/** Makes jobs of lines, as a feeder does. */
export async function feed(redis: Redis, batch: NewBatch, lines: readonly FedLine[]): Promise<string[]> {
  const { expiresAtMs: deadlineAtMs } = batch;
  const fed = lines.map((line) => ({
    ...line,
    job: { ...line.job, model: MODEL, deadlineAtMs, line: { ...line.job.line, customId: `r${line.index}` } },
  }));
  return (await feedLines(redis, batch.id, fed)) ?? [];
}

/** Runs a line that is a job, as a worker does. */
export async function answer(redis: Redis, jobId: string, end?: JobEnd): Promise<void> {
  const claim = await claimJob(redis, jobId, Date.now());
  if (claim.kind !== "claimed") return;
  const index = Number(/\d+$/.exec(jobId)?.[0]);
  await commitJob(redis, { jobId, epoch: claim.record.attempt }, end ?? endOf(index), Date.now());
}

/** Feeds and answers the next two lines of a batch, if it takes any. @returns whether it is over. */
export async function feedAndAnswer(
  { redis, files }: Pick<KeptBatches, "redis" | "files">,
  batch: NewBatch,
): Promise<boolean> {
  const record = await readBatch(redis, batch.id);
  if (record === null || isBatchOver(record.status)) return true;
  if (record.status !== "in_progress") return false;
  const leaders = await readLeaders(files, batch);
  const copies = leaders === null ? null : countCopies(leaders);
  const indexes = Array.from({ length: record.total }, (_, index) => index).filter(
    (index) => (leaders?.[index] ?? NO_LEADER) === NO_LEADER,
  );
  const ended = await haveEnded(redis, batch.id, indexes);
  const next = indexes.filter((_, at) => ended[at] === false).slice(0, 2);
  const lines = next.map((index) => fedLine(index, { copies: copies?.[index] ?? 0 }));
  if (lines.length > 0) await feed(redis, batch, lines);
  for (const { jobId } of await readLiveLines(redis, batch.id, 10)) await answer(redis, jobId);
  return false;
}

/** The batch, when it is over and nothing of its run is left. */
export async function overBatch(redis: Redis, batchId: string): Promise<BatchRecord | null> {
  const record = await readBatch(redis, batchId);
  const isRetired = (await redis.zscore(LIVE_BATCHES_KEY, batchId)) === null;
  return record !== null && isBatchOver(record.status) && isRetired ? record : null;
}

export interface WrittenLine {
  id: string;
  custom_id: string;
  response: {
    status_code: number;
    body: {
      choices: { message: { content: string } }[];
      usage: { prompt_tokens_details: { cached_tokens: number } };
    };
  } | null;
  error: { code: string } | null;
}

/** Both files of a batch that is over. */
export async function writtenLines(
  files: DirectoryStore,
  { tenant, outputFileId, errorFileId }: BatchRecord,
): Promise<{ output: WrittenLine[]; errors: WrittenLine[] }> {
  const read = async (id: string | null) => {
    if (id === null) return [];
    const content = await text(files.read(fileKey({ tenant, id })));
    return content
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as WrittenLine);
  };
  return { output: await read(outputFileId), errors: await read(errorFileId) };
}

/** All that lies in the store for a tenant. */
export async function storedNames(folder: string, tenant = "default"): Promise<string[]> {
  return (await readdir(join(folder, tenant))).sort();
}
