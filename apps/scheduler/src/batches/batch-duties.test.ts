import type { NewBatch } from "@quern/shared/contract/batch";
import {
  BATCH_QUEUE_NAME,
  BATCH_QUEUE_PREFIX,
  batchKey,
  LIVE_BATCHES_KEY,
  webhookKey,
} from "@quern/shared/contract/names";
import { moveBatch, readBatch } from "@quern/shared/redis/batch-store";
import { fedLine } from "@quern/shared/redis/new-batch.fixture";
import { until } from "@quern/testing/cluster";
import { answering, startWebhookSink } from "@quern/testing/webhook-sink";
import { Queue } from "bullmq";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readEnv, toConfig } from "../config.ts";
import { runScheduler } from "../scheduler.ts";
import {
  answer,
  feed,
  inputLine,
  type KeptBatches,
  overBatch,
  startKeptBatches,
  submitBatch,
} from "./keep/kept-batches.fixture.ts";

let kept: KeptBatches;
let queue: Queue;
let running: { stop: AbortController; ended: Promise<void> }[] = [];
beforeAll(async () => {
  kept = await startKeptBatches();
  queue = new Queue(BATCH_QUEUE_NAME, { connection: kept.redis, prefix: BATCH_QUEUE_PREFIX });
});
afterEach(async () => {
  const stopping = running;
  running = [];
  for (const { stop } of stopping) stop.abort();
  await Promise.all(stopping.map(({ ended }) => ended));
});
afterAll(async () => {
  await queue?.close();
  await kept?.[Symbol.asyncDispose]();
});

function scheduler() {
  const stop = new AbortController();
  const env = {
    REDIS_URL: kept.url,
    QUERN_FILES: kept.folder,
    QUERN_WEBHOOK_ALLOW_PRIVATE: "true",
    QUERN_DRAIN_GRACE_SECONDS: "0",
    QUERN_LOG_LEVEL: "error",
  };
  const started = { stop, ended: runScheduler(toConfig(readEnv(env)), stop.signal) };
  running.push(started);
  return started;
}

/** As a gateway does it. */
async function submit(count: number, changes: Partial<NewBatch> = {}): Promise<NewBatch> {
  const lines = Array.from({ length: count }, (_, index) => inputLine(`r${index}`));
  const batch = await submitBatch(kept, lines, changes);
  await queue.add("keep", { batchId: batch.id }, { jobId: batch.id });
  return batch;
}
const epochOf = async ({ id }: NewBatch) => Number(await kept.redis.hget(batchKey(id), "keeperEpoch"));
const inProgress = (batch: NewBatch) =>
  until(async () => (await readBatch(kept.redis, batch.id))?.status === "in_progress");
async function answerAll(batch: NewBatch, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => fedLine(index));
  for (const jobId of await feed(kept.redis, batch, lines)) await answer(kept.redis, jobId);
}

test("a scheduler that drains hands its batches to the next one at once", async () => {
  const first = scheduler();
  const batches = await Promise.all([submit(3), submit(3), submit(3)]);
  await Promise.all(batches.map(inProgress));
  const beganMs = performance.now();
  first.stop.abort();
  await first.ended;
  expect(performance.now() - beganMs).toBeLessThan(2_000);
  const before = await Promise.all(batches.map(epochOf));

  scheduler();
  await until(async () =>
    (await Promise.all(batches.map(epochOf))).every((epoch, at) => epoch > (before[at] ?? 0)),
  );
  // Less than a lease lasts.
  expect(performance.now() - beganMs).toBeLessThan(5_000);
  for (const batch of batches) await answerAll(batch, 3);
  for (const { id } of batches) {
    expect(await until(() => overBatch(kept.redis, id))).toMatchObject({ status: "completed", completed: 3 });
  }
  await until(
    async () => (await queue.getJobCounts("active", "completed", "failed", "waiting")).active === 0,
  );
  expect(await queue.getJobs()).toEqual([]);
});

test("a batch that is in no queue is found, and so is one that BullMQ gave up", async () => {
  const createdAtMs = Date.now() - 10_000;
  const nowhere = await submitBatch(kept, [inputLine("a")], { createdAtMs });
  const givenUp = await submit(1, { createdAtMs });
  // As it leaves what stalls too often.
  await queue.remove(givenUp.id);
  await queue.add("keep", { batchId: givenUp.id }, { jobId: givenUp.id, attempts: 1 });
  await kept.redis.lrem(`${BATCH_QUEUE_PREFIX}:${BATCH_QUEUE_NAME}:wait`, 1, givenUp.id);
  await kept.redis.zadd(`${BATCH_QUEUE_PREFIX}:${BATCH_QUEUE_NAME}:failed`, Date.now(), givenUp.id);
  scheduler();
  await Promise.all([inProgress(nowhere), inProgress(givenUp)]);
  for (const batch of [nowhere, givenUp]) await answerAll(batch, 1);
  for (const { id } of [nowhere, givenUp]) {
    expect(await until(() => overBatch(kept.redis, id))).toMatchObject({ status: "completed" });
  }
});

test("what never became a batch is forgotten, when that is sure", async () => {
  const [old, young] = [Date.now() - 700_000, Date.now()];
  await kept.redis.zadd(LIVE_BATCHES_KEY, old, "batch_old", young, "batch_young");
  scheduler();
  await until(async () => (await kept.redis.zscore(LIVE_BATCHES_KEY, "batch_old")) === null);
  expect(await kept.redis.zscore(LIVE_BATCHES_KEY, "batch_young")).toBe(String(young));
  await kept.redis.zrem(LIVE_BATCHES_KEY, "batch_young");
});

test("the end of a batch is told to its webhook, signed, once", async () => {
  await using sink = await startWebhookSink(answering((number) => (number === 1 ? 500 : 200)));
  const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  scheduler();
  const batch = await submit(2, { webhook: { url: sink.url, secret }, metadata: { team: "a" } });
  await inProgress(batch);
  await moveBatch(kept.redis, batch.id, "cancel", null, Date.now());
  const record = await until(() => overBatch(kept.redis, batch.id));
  const [first] = await sink.count(1);
  const official = new Webhook(secret);
  expect(official.verify(first?.body ?? "", first?.headers as Record<string, string>)).toMatchObject({
    type: "batch.cancelled",
    data: {
      id: batch.id,
      object: "batch",
      status: "cancelled",
      request_counts: { total: 2, completed: 0, failed: 2 },
      error_file_id: record.errorFileId,
      metadata: { team: "a" },
    },
  });
  await until(async () => (await readBatch(kept.redis, batch.id))?.webhook?.attempts === 1);
  expect((await readBatch(kept.redis, batch.id))?.webhook).toMatchObject({
    status: "pending",
    lastStatusCode: 500,
  });
  expect(await kept.redis.ttl(webhookKey(batch.id))).toBeGreaterThan(0);
});
