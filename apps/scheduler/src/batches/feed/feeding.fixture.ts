import { randomUUIDv7 } from "node:crypto";
import { Readable } from "node:stream";
import type { EndedLine, NewBatch } from "@quern/shared/contract/batch";
import { batchKey, feederLockKey, outboxKey } from "@quern/shared/contract/names";
import { fileKey } from "@quern/shared/files/file-key";
import type { FileStore } from "@quern/shared/files/file-store";
import { readOutbox } from "@quern/shared/redis/batch-outbox";
import { announceBatch, createBatch, moveBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { newBatch } from "@quern/shared/redis/new-batch.fixture";
import type { Redis } from "ioredis";
import { JobReferences } from "../../queue/job-references.ts";
import { Feeders } from "./feeders.ts";
import type { FeedContext } from "./model-feeder.ts";
import { ServedModels } from "./served-models.ts";

/** A line as a caller writes it. */
export function chatLine(index: number, body: object = {}): object {
  const messages = [{ role: "user", content: `question ${index}` }];
  return {
    custom_id: `line ${index}`,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: "m", messages, max_tokens: 8, ...body },
  };
}

export function chatLines(count: number, body: object = {}): object[] {
  return Array.from({ length: count }, (_, index) => chatLine(index, body));
}

/** A batch that has been validated; resolves with its id when feeders know of it. */
export async function startBatch(
  redis: Redis,
  files: FileStore,
  model: string,
  lines: object[],
  changes: Partial<NewBatch> = {},
): Promise<string> {
  const inputFileId = `file-${randomUUIDv7()}`;
  const expiresAtMs = Date.now() + 3_600_000;
  const batch = newBatch({ inputFileId, createdAtMs: Date.now(), expiresAtMs, ...changes });
  const content = Readable.from(lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`)));
  await files.write(
    fileKey({ tenant: batch.tenant, id: inputFileId }),
    content,
    new AbortController().signal,
  );
  await createBatch(redis, batch);
  await moveBatch(redis, batch.id, "validated", null, Date.now(), { model, total: lines.length });
  await announceBatch(redis, batch.id);
  return batch.id;
}

/** Takes all ends of a batch that wait to be collected, as its keeper does. */
export async function collectEnds(redis: Redis, batchId: string): Promise<EndedLine[]> {
  const entries = await readOutbox(redis, batchId, 10_000);
  if (entries.length > 0) {
    const collected = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    await redis
      .multi()
      .xdel(outboxKey(batchId), ...entries.map(({ id }) => id))
      .hincrby(batchKey(batchId), "outboxBytes", -collected)
      .exec();
  }
  return entries.map(({ line }) => line);
}

export interface TestFeeders extends AsyncDisposable {
  /** As a process dies: in the middle of whatever it does. Its lock is as if it had lapsed. */
  kill(redis: Redis, model: string): Promise<void>;
  readonly told: string[];
}

/** What feeders tell goes to `told`. */
export function feedContext(
  redis: Redis,
  files: FileStore,
  references: JobReferences,
  told: string[],
): FeedContext {
  return {
    redis,
    files,
    references,
    models: new ServedModels(redis),
    weightOf: () => 1,
    lookaheadLines: 1_000,
    events: {
      feeding: (model) => void told.push(`feeding ${model}`),
      inputUnreadable: (_, error) => void told.push(`unreadable ${(error as { code?: string }).code}`),
      redisError: (error) => void told.push(`error ${error.message}`),
    },
  };
}

/** Feeders of a scheduler of their own. */
export async function startFeeders(
  url: string,
  files: FileStore,
  options: Partial<Pick<FeedContext, "weightOf" | "lookaheadLines">> = {},
): Promise<TestFeeders> {
  const told: string[] = [];
  const redis = connectRedis(url, "work", () => {});
  const subscriber = connectRedis(url, "subscribe", () => {});
  const references = new JobReferences(redis, () => {});
  const context = { ...feedContext(redis, files, references, told), ...options };
  const feeders = new Feeders(context, subscriber);
  await feeders.listen();
  const stop = new AbortController();
  const ended = feeders.run(stop.signal);
  const disconnect = () => {
    redis.disconnect();
    subscriber.disconnect();
  };
  return {
    told,
    kill: async (other, model) => {
      disconnect();
      stop.abort();
      await ended;
      await other.del(feederLockKey(model));
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
      await references.close();
      disconnect();
    },
  };
}
