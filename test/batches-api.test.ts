import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BatchRecord } from "@quern/shared/contract/batch";
import {
  BATCH_CHANNEL,
  BATCH_QUEUE_NAME,
  BATCH_QUEUE_PREFIX,
  batchKey,
  LIVE_BATCHES_KEY,
} from "@quern/shared/contract/names";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { createBatch, moveBatch, readBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { type Cluster, startCluster, startReadyGateway, until } from "@quern/testing/cluster";
import { callApi } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newBatchId } from "../apps/gateway/src/dispatch/batch-id.ts";
import { jsonl, storeFile } from "../packages/shared/src/files/stored-file.fixture.ts";
import { newBatch } from "../packages/shared/src/redis/new-batch.fixture.ts";

// Promise: a batch that was accepted is written down and queued, once; its API has OpenAI's shapes and tells the cure of what it refuses.

let folder: string;
let cluster: Cluster;
let redis: Redis;
let context: { redis: Redis; files: DirectoryStore };
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-batches-"));
  const env = { QUERN_FILES: folder, QUERN_WEBHOOK_ALLOW_PRIVATE: "true" };
  cluster = await startCluster({ workers: [], schedulers: [], env });
  redis = connectRedis(cluster.redis.url, "work", () => {});
  context = { redis, files: new DirectoryStore(folder) };
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const line = (at: number) => ({
  custom_id: `line ${at}`,
  method: "POST",
  url: "/v1/chat/completions",
  body: { model: "tiny-qwen3", messages: [{ role: "user", content: `What is ${at}?` }] },
});
const inputFile = () => storeFile(context, jsonl([line(0), line(1)]));
const asked = (inputFileId: string) => ({
  input_file_id: inputFileId,
  endpoint: "/v1/chat/completions" as const,
  completion_window: "24h" as const,
});

async function post(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${cluster.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

const postTo = (url: string, body: object) =>
  fetch(`${url}/v1/batches`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

async function errorOf(reply: Response) {
  const { error } = (await reply.json()) as {
    error: { message: string; param: string | null; code: string };
  };
  return { status: reply.status, ...error };
}

test("a batch is created with OpenAI's client: written down, queued, and shown with every field", async () => {
  const { id: inputFileId } = await inputFile();
  const batch = await client.batches.create({
    ...asked(inputFileId),
    metadata: { order: "7" },
    output_expires_after: { anchor: "created_at", seconds: 3_600 },
  });
  expect(batch).toMatchObject({
    id: expect.stringMatching(/^batch_/),
    object: "batch",
    status: "validating",
    endpoint: "/v1/chat/completions",
    input_file_id: inputFileId,
    completion_window: "24h",
    expires_at: batch.created_at + 86_400,
    request_counts: { total: 0, completed: 0, failed: 0 },
    metadata: { order: "7" },
    errors: null,
    output_file_id: null,
    error_file_id: null,
    in_progress_at: null,
    completed_at: null,
    cancelled_at: null,
  });
  expect(Math.abs(batch.created_at - Date.now() / 1_000)).toBeLessThan(60);
  expect(await readBatch(redis, batch.id)).toMatchObject({
    tenant: "default",
    outputExpiresAfterSeconds: 3_600,
    dedupe: false,
    webhook: null,
  });
  const queued = await redis.hget(`${BATCH_QUEUE_PREFIX}:${BATCH_QUEUE_NAME}:${batch.id}`, "data");
  expect(JSON.parse(queued ?? "")).toEqual({ batchId: batch.id });
  expect(await redis.zscore(LIVE_BATCHES_KEY, batch.id)).not.toBeNull();
  expect(await client.batches.retrieve(batch.id)).toEqual(batch);
});

test("what Quern adds: other windows, dedupe, a webhook whose secret is not shown", async () => {
  const { id: inputFileId } = await inputFile();
  const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const webhook = { url: "http://127.0.0.1:9/hook", secret };
  const reply = await post("/v1/batches", {
    ...asked(inputFileId),
    completion_window: "90m",
    dedupe: true,
    webhook,
  });
  const batch = (await reply.json()) as OpenAI.Batch & Record<string, unknown>;
  expect(batch).toMatchObject({
    completion_window: "90m",
    dedupe: true,
    webhook: { url: webhook.url, status: "pending" },
  });
  expect(reply.headers.get("location")).toBe(`/v1/batches/${batch.id}`);
  expect(batch.expires_at).toBe(batch.created_at + 5_400);
  expect(JSON.stringify(batch)).not.toContain(secret);
});

test.each([
  [{ input_file_id: undefined }, "input_file_id", "is missing"],
  [{ endpoint: "/v1/images" }, "endpoint", "/v1/embeddings"],
  [{ completion_window: "1 week" }, "completion_window", "24h"],
  [{ completion_window: "31d" }, "completion_window", "30 days"],
  [{ metadata: { order: 7 } }, "metadata.order", "string"],
  [
    { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, ""])) },
    "metadata",
    "16 pairs",
  ],
  [{ output_expires_after: { anchor: "created_at", seconds: 60 } }, "output_expires_after.seconds", "3600"],
  [{ output_expires_after: { anchor: "now", seconds: 3_600 } }, "output_expires_after.anchor", "created_at"],
  [{ webhook: { url: "ftp://example.com" } }, "webhook.url", "https://"],
  [{ priority: 1 }, "priority", "unknown parameter"],
  [{ input_file_id: "file-none" }, "input_file_id", "POST /v1/files"],
])("%j is refused by name, and nothing is kept of it", async (changes, param, why) => {
  const before = await redis.zcard(LIVE_BATCHES_KEY);
  const { id } = await inputFile();
  const error = await errorOf(await post("/v1/batches", { ...asked(id), ...changes }));
  expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
  expect(error.message).toContain(why);
  expect(await redis.zcard(LIVE_BATCHES_KEY)).toBe(before);
});

test("another tenant's file is not there, and an output is no input", async () => {
  const theirs = await storeFile(context, "{}\n", { tenant: "another" });
  const output = await storeFile(context, "{}\n", { purpose: "batch_output" });
  const missing = await errorOf(await post("/v1/batches", asked(theirs.id)));
  expect(missing).toMatchObject({ status: 400, param: "input_file_id" });
  expect(missing.message).toContain("there is no file");
  expect((await errorOf(await post("/v1/batches", asked(output.id)))).message).toContain("batch_output");
});

test("a page at a time, the newest first; the client reads on by itself", async () => {
  const { id: inputFileId } = await inputFile();
  const made: string[] = [];
  for (let at = 0; at < 3; at += 1) made.unshift((await client.batches.create(asked(inputFileId))).id);
  const theirs = newBatch({ id: newBatchId(), tenant: "another" });
  await createBatch(redis, theirs);
  const page = await callApi<{ data: OpenAI.Batch[] }>(`${cluster.url}/v1/batches?limit=2`);
  expect(page.data.map(({ id }) => id)).toEqual(made.slice(0, 2));
  expect(page).toMatchObject({ object: "list", first_id: made[0], last_id: made[1], has_more: true });
  const all: string[] = [];
  for await (const { id } of client.batches.list({ limit: 2 })) all.push(id);
  expect(all.slice(0, 3)).toEqual(made);
  expect(new Set(all).size).toBe(all.length);
  expect(all).not.toContain(theirs.id);
  for (const limit of [0, 101]) {
    const reply = await fetch(`${cluster.url}/v1/batches?limit=${limit}`);
    expect(await errorOf(reply)).toMatchObject({ status: 400, param: "limit" });
  }
});

test.each([
  ["GET", ""],
  ["GET", "/events"],
  ["POST", "/cancel"],
  ["POST", "/pause"],
  ["POST", "/resume"],
  ["POST", "/retry-failed"],
])("%s …%s of a batch that is not there, or not yours, is 404", async (method, path) => {
  const theirs = newBatch({ id: newBatchId(), tenant: "another" });
  await createBatch(redis, theirs);
  for (const id of [theirs.id, newBatchId(), "batch_1", "job_1"]) {
    const reply = await fetch(`${cluster.url}/v1/batches/${id}${path}`, { method });
    expect(await errorOf(reply)).toMatchObject({ status: 404, code: "batch_not_found" });
  }
  expect(await readBatch(redis, theirs.id)).toMatchObject({ status: "validating", pausedAtMs: null });
});

test("a cancel begins at once, is announced, and may be repeated; what is over stays as it is", async () => {
  const { id } = await client.batches.create(asked((await inputFile()).id));
  const subscriber = connectRedis(cluster.redis.url, "subscribe", () => {});
  const announced: string[] = [];
  await subscriber.subscribe(BATCH_CHANNEL);
  subscriber.on("message", (_, batchId) => announced.push(batchId));
  const cancelling = await client.batches.cancel(id);
  expect(cancelling).toMatchObject({ status: "cancelling", cancelled_at: null });
  expect(cancelling.cancelling_at).toBeGreaterThanOrEqual(cancelling.created_at);
  expect(await client.batches.cancel(id)).toEqual(cancelling);
  await until(async () => announced.includes(id));
  subscriber.disconnect();

  await moveBatch(redis, id, "cancelled", null, Date.now());
  const cancelled = await client.batches.cancel(id);
  expect(cancelled).toMatchObject({ status: "cancelled", cancelling_at: cancelling.cancelling_at });
  const finishing = await client.batches.create(asked((await inputFile()).id));
  await moveBatch(redis, finishing.id, "due", null, Date.now());
  expect(await client.batches.cancel(finishing.id)).toMatchObject({
    status: "finalizing",
    cancelling_at: null,
  });
});

test("a batch is paused and resumed; one that is over stays as it is", async () => {
  const { id } = await client.batches.create(asked((await inputFile()).id));
  const step = (what: string) =>
    callApi<{ status: string; paused_at: number | null }>(`${cluster.url}/v1/batches/${id}/${what}`, {
      method: "POST",
    });
  const paused = await step("pause");
  expect(paused).toMatchObject({ status: "validating", paused_at: expect.any(Number) });
  expect(await step("pause")).toEqual(paused);
  expect(await step("resume")).toMatchObject({ paused_at: null });
  await moveBatch(redis, id, "rejected", null, Date.now());
  expect(await step("pause")).toMatchObject({ status: "failed", paused_at: null });
});

test("what is wrong with an input is shown as OpenAI does", async () => {
  const { id } = await client.batches.create(asked((await inputFile()).id));
  const fault = { code: "invalid_json_line" as const, message: "no JSON", param: null, line: 2 };
  await moveBatch(redis, id, "rejected", null, Date.now(), { errors: [fault] });
  expect(await client.batches.retrieve(id)).toMatchObject({
    status: "failed",
    failed_at: expect.any(Number),
    errors: { object: "list", data: [fault] },
  });
});

test("one Idempotency-Key makes one batch, over two gateways; another body is refused", async () => {
  const second = await startReadyGateway(cluster);
  const { id: inputFileId } = await inputFile();
  const send = (url: string, body: object) =>
    fetch(`${url}/v1/batches`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "one" },
      body: JSON.stringify(body),
    });
  const first = await send(cluster.url, asked(inputFileId));
  const again = await send(second, asked(inputFileId));
  expect([first.status, again.status]).toEqual([200, 200]);
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect(((await again.json()) as OpenAI.Batch).id).toBe(((await first.json()) as OpenAI.Batch).id);
  const other = await send(second, { ...asked(inputFileId), completion_window: "1h" });
  expect(await errorOf(other)).toMatchObject({ status: 422, code: "idempotency_key_reused" });
});

test("a batch that is submitted again under its id stays as it has become", async () => {
  const batch = newBatch({ id: newBatchId(), metadata: { first: "yes" } });
  expect(await createBatch(redis, batch)).toEqual({ created: true });
  await moveBatch(redis, batch.id, "cancel", null, 2_000);
  expect(await createBatch(redis, { ...batch, metadata: {} })).toEqual({ created: false });
  const record = (await readBatch(redis, batch.id)) as BatchRecord;
  expect(record).toMatchObject({ status: "cancelling", metadata: { first: "yes" } });
  await redis.del(batchKey(batch.id));
});

test("a gateway that is told to stop takes no more batches, and sends followers on", async () => {
  const url = await startReadyGateway(cluster);
  const { id } = await client.batches.create(asked((await inputFile()).id));
  const events = await fetch(`${url}/v1/batches/${id}/events`);
  // A request that is not whole yet keeps it from ending before it is asked.
  const held = request(`${url}/v1/batches`, {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  held.on("error", () => {});
  held.write("{");
  await until(async () => held.socket !== null && held.socket.bytesWritten > 0);
  const ended = cluster.gateways.at(-1)?.kill("SIGTERM");
  const told = await events.text();
  expect(told).toContain("event: progress");
  expect(told).not.toContain("event: end");
  const refused = await until(async () => {
    const reply = await postTo(url, asked("file-none"));
    return reply.status === 503 ? reply : null;
  });
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await errorOf(refused)).toMatchObject({ code: "draining" });
  held.destroy();
  expect(await ended).toBe(0);
});

test("while Redis does not answer the answer is 503, and nothing half-made stays", async () => {
  const { id: inputFileId } = await inputFile();
  const before = await redis.zcard(LIVE_BATCHES_KEY);
  const pauseMs = 3_000;
  await redis.client("PAUSE", pauseMs, "ALL");
  const reply = await post("/v1/batches", asked(inputFileId));
  expect(reply.headers.get("retry-after")).toBe("1");
  expect(await errorOf(reply)).toMatchObject({ status: 503, code: "redis_unavailable" });
  await until(async () => (await post("/v1/batches", asked(inputFileId))).ok);
  expect(await redis.zcard(LIVE_BATCHES_KEY)).toBe(before + 1);
});

test("the input of a batch that is not over can't be deleted; afterwards it can", async () => {
  const { id: inputFileId } = await inputFile();
  const { id } = await client.batches.create(asked(inputFileId));
  const reply = await fetch(`${cluster.url}/v1/files/${inputFileId}`, { method: "DELETE" });
  expect(reply.headers.get("x-should-retry")).toBe("false");
  const error = await errorOf(reply);
  expect(error).toMatchObject({ status: 409, code: "file_in_use" });
  expect(error.message).toContain(`${id} still reads`);
  expect(await client.files.retrieve(inputFileId)).toMatchObject({ id: inputFileId });
  await moveBatch(redis, id, "rejected", null, Date.now());
  expect(await client.files.delete(inputFileId)).toMatchObject({ deleted: true });
});
