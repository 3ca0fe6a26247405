import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BatchRecord, NewBatch } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { batchKey } from "@quern/shared/contract/names";
import {
  announceBatch,
  createBatch,
  moveBatch,
  pauseBatch,
  readBatch,
} from "@quern/shared/redis/batch-store";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: every line of a batch stands once in its files, whatever is killed, and whenever it is cancelled or its window ends.

let files: string;
let endless: EndlessModel;
let cluster: Cluster;
let redis: Redis;
beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), "quern-batches-"));
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [endless.worker], env: { QUERN_FILES: files } });
  redis = new Redis(cluster.redis.url);
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  await rm(files, { recursive: true, force: true });
});

/** Line `index` asks for so many tokens, and gets as many. */
const tokensOf = (index: number) => 20 + (index % 40);
const lineOf = (index: number, body: object = {}) =>
  JSON.stringify({
    custom_id: `line ${index}`,
    method: "POST",
    url: "/v1/chat/completions",
    body: {
      model: endless.model,
      messages: [{ role: "user", content: `Tell me tale ${index}.` }],
      max_tokens: tokensOf(index),
      ...body,
    },
  });

async function upload(lines: readonly string[]): Promise<string> {
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new File([lines.join("\n")], "in.jsonl"));
  const reply = await fetch(`${cluster.url}/v1/files`, { method: "POST", body: form });
  expect(reply.status).toBe(200);
  return ((await reply.json()) as { id: string }).id;
}

/** As if its gateway had died before it came to the queue. */
async function submit(lines: readonly string[], changes: Partial<NewBatch> = {}): Promise<string> {
  const nowMs = Date.now();
  const id = `batch_${randomUUIDv7()}`;
  await createBatch(redis, {
    ...{ id, tenant: "default", endpoint: "/v1/chat/completions" },
    inputFileId: changes.inputFileId ?? (await upload(lines)),
    ...{ dedupe: false, metadata: {}, outputExpiresAfterSeconds: null, retriedFrom: null },
    ...{ traceparent: null, createdAtMs: nowMs - 10_000, expiresAtMs: nowMs + 3_600_000, webhook: null },
    ...changes,
  });
  return id;
}

const over = (id: string) =>
  until(async () => {
    const record = await readBatch(redis, id);
    return record !== null && isBatchOver(record.status) ? record : null;
  });
const completed = (id: string, count: number) =>
  until(async () => ((await readBatch(redis, id))?.completed ?? 0) >= count);

interface Line {
  custom_id: string;
  response: {
    body: { choices: { message: { content: string } }[]; usage: { completion_tokens: number } };
  } | null;
  error: { code: string } | null;
}

async function linesOf(fileId: string | null): Promise<Line[]> {
  if (fileId === null) return [];
  const reply = await fetch(`${cluster.url}/v1/files/${fileId}/content`);
  expect(reply.status).toBe(200);
  return (await reply.text())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

/** Every line once, in one file or the other; what is answered is exactly what was asked for. */
async function expectEachOnce(record: BatchRecord, count: number): Promise<Line[]> {
  const [output, errors] = [await linesOf(record.outputFileId), await linesOf(record.errorFileId)];
  const ids = [...output, ...errors].map(({ custom_id }) => custom_id);
  expect(ids.sort()).toEqual(Array.from({ length: count }, (_, index) => `line ${index}`).sort());
  expect(record).toMatchObject({ total: count, completed: output.length, failed: errors.length });
  for (const { custom_id, response } of output) {
    const { choices, usage } = response?.body ?? { choices: [], usage: { completion_tokens: 0 } };
    const text = choices[0]?.message.content ?? "";
    expect(usage.completion_tokens).toBe(tokensOf(Number(custom_id.slice("line ".length))));
    expect(text.length > 0 && endless.text.repeat(10).startsWith(text)).toBe(true);
  }
  return errors;
}

const LINES = 500;

test("a batch whose scheduler is killed five times is answered whole", async () => {
  const id = await submit(Array.from({ length: LINES }, (_, index) => lineOf(index)));
  for (let kill = 1; kill <= 5; kill += 1) {
    // Each of them has the batch for a while, and brings it on.
    await until(async () => Number(await redis.hget(batchKey(id), "keeperEpoch")) >= kill);
    await completed(id, 10 * kill);
    expect((await readBatch(redis, id))?.status).toBe("in_progress");
    expect(await cluster.schedulers.at(-1)?.kill("SIGKILL")).toBe("SIGKILL");
    await cluster.startScheduler();
  }
  const record = await over(id);
  expect(record).toMatchObject({ status: "completed", model: endless.model, errorFileId: null });
  expect(await expectEachOnce(record, LINES)).toEqual([]);
  const tokens = Array.from({ length: LINES }, (_, index) => tokensOf(index));
  expect(record.usage.completionTokens).toBe(tokens.reduce((sum, count) => sum + count));
}, 180_000);

test("a batch that is cancelled half-way keeps its answers, and accounts for the rest", async () => {
  const id = await submit(Array.from({ length: 400 }, (_, index) => lineOf(index)));
  await completed(id, 20);
  await moveBatch(redis, id, "cancel", null, Date.now());
  await announceBatch(redis, id);
  const record = await over(id);
  expect(record.status).toBe("cancelled");
  const errors = await expectEachOnce(record, 400);
  expect(errors.length).toBeGreaterThan(0);
  for (const { response, error } of errors) {
    expect([response, error?.code]).toEqual([null, "batch_cancelled"]);
  }
}, 60_000);

test("a batch whose window ends keeps its answers, and accounts for the rest", async () => {
  const lines = Array.from({ length: 3_000 }, (_, index) => lineOf(index));
  const id = await submit(lines, { expiresAtMs: Date.now() + 8_000 });
  const record = await over(id);
  expect(record.status).toBe("expired");
  const errors = await expectEachOnce(record, 3_000);
  expect(record.completed).toBeGreaterThan(0);
  for (const { response, error } of errors) {
    expect([response, error?.code]).toEqual([null, "batch_expired"]);
  }
}, 60_000);

test("where every line is at fault there is an error file only", async () => {
  const id = await submit(Array.from({ length: 30 }, (_, index) => lineOf(index, { max_tokens: -1 })));
  const record = await over(id);
  expect(record).toMatchObject({ status: "completed", outputFileId: null, completed: 0, failed: 30 });
  for (const { response, error } of await expectEachOnce(record, 30)) {
    expect(response).toMatchObject({
      status_code: 400,
      body: { error: { code: "invalid_request", param: "max_tokens" } },
    });
    expect(error).toBeNull();
  }
});

test("batches that wait, however many, keep no other one waiting", async () => {
  const lines = Array.from({ length: 3 }, (_, index) => lineOf(index));
  const inputFileId = await upload(lines);
  const paused: string[] = [];
  for (let count = 0; count < 150; count++) {
    const id = await submit(lines, { tenant: "default", inputFileId });
    await pauseBatch(redis, id, "pause", Date.now());
    paused.push(id);
  }
  await until(async () => (await statusesOf(paused)).every((status) => status === "in_progress"));
  expect(await over(await submit(lines))).toMatchObject({ status: "completed", completed: 3 });
  for (const id of paused) await moveBatch(redis, id, "cancel", null, Date.now());
  await until(async () => (await statusesOf(paused)).every((status) => status === "cancelled"));
}, 60_000);

const statusesOf = (ids: string[]) =>
  Promise.all(ids.map(async (id) => (await readBatch(redis, id))?.status));
