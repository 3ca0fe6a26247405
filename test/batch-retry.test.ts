import { buffer } from "node:stream/consumers";
import { batchLineId } from "@quern/shared/contract/batch-line-id";
import type { FileRecord } from "@quern/shared/contract/file";
import type { DirectoryStore } from "@quern/shared/files/directory-store";
import { fileKey } from "@quern/shared/files/file-key";
import { createBatch, moveBatch, readBatch } from "@quern/shared/redis/batch-store";
import { readFileRecord } from "@quern/shared/redis/file-records";
import type { Cluster } from "@quern/testing/cluster";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newBatchId } from "../apps/gateway/src/dispatch/batch-id.ts";
import { KeptBatch } from "../packages/shared/src/files/kept-batch.fixture.ts";
import { jsonl, storeFile } from "../packages/shared/src/files/stored-file.fixture.ts";
import { newBatch, unfedLine } from "../packages/shared/src/redis/new-batch.fixture.ts";
import { startUnstaffedCluster, type UnstaffedCluster } from "./unstaffed-cluster.fixture.ts";

// Promise: the lines that failed in a batch, and no others, become a batch of their own, once.

let unstaffed: UnstaffedCluster;
let cluster: Cluster;
let redis: Redis;
let context: { redis: Redis; files: DirectoryStore };
beforeAll(async () => {
  unstaffed = await startUnstaffedCluster();
  ({ cluster, redis } = unstaffed);
  context = unstaffed;
});
afterAll(() => unstaffed?.[Symbol.asyncDispose]());

const line = (at: number) => ({
  custom_id: `line ${at}`,
  method: "POST",
  url: "/v1/embeddings",
  body: { input: "é" },
});

/** A batch of so many lines, some of which have failed. */
async function batchWith(
  input: FileRecord,
  total: number,
  failed: number[],
  end: "completed" | "cancelled" | "expired" = "completed",
): Promise<string> {
  const id = newBatchId();
  const changes = { metadata: { order: "7" }, dedupe: true, outputExpiresAfterSeconds: 3_600 };
  await createBatch(redis, newBatch({ id, inputFileId: input.id, endpoint: "/v1/embeddings", ...changes }));
  await using kept = new KeptBatch(context, id);
  await kept.begin();
  await kept.move("validated", { model: "tiny-qwen3", total });
  await kept.fail(...failed.map((index) => unfedLine(index)));
  const idOf = (index: number) => batchLineId({ batchId: id, index });
  await kept.collect({
    output: Array.from({ length: total }, (_, index) => ({
      id: idOf(index),
      response: { status_code: 200 },
    })).filter((_, index) => !failed.includes(index)),
    errors: failed.map((index) => ({
      id: idOf(index),
      custom_id: `line ${index}`,
      error: { code: "engine_crashed" },
    })),
  });
  await kept.move(end === "cancelled" ? "cancel" : end === "expired" ? "due" : "lines_ended");
  await kept.finish(end);
  return id;
}

function retry(id: string, key?: string): Promise<Response> {
  const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
  return fetch(`${cluster.url}/v1/batches/${id}/retry-failed`, { method: "POST", headers });
}

async function refusal(reply: Response): Promise<string> {
  expect(reply.status).toBe(409);
  // OpenAI's client would otherwise send it again and again.
  expect(reply.headers.get("x-should-retry")).toBe("false");
  const { error } = (await reply.json()) as { error: { code: string; message: string } };
  expect(error.code).toBe("batch_not_retryable");
  return error.message;
}

async function contentOf(id: string): Promise<string> {
  return String(await buffer(context.files.read(fileKey({ tenant: "default", id }))));
}

test.each(["completed", "cancelled", "expired"] as const)("of a batch that is %s", async (end) => {
  // Blank lines count for nothing, and a last line needs no break.
  const lines = [0, 1, 2, 3].map((at) => JSON.stringify(line(at)));
  const input = await storeFile(
    context,
    `\uFEFF${lines[0]}\r\n\r\n${lines[1]}\n\n\n${lines[2]}\n${lines[3]}`,
  );
  const parent = await batchWith(input, 4, [1, 3], end);
  const reply = await retry(parent);
  expect(reply.status).toBe(200);
  const child = (await reply.json()) as { id: string; input_file_id: string };
  expect(child).toMatchObject({
    status: "validating",
    endpoint: "/v1/embeddings",
    completion_window: "24h",
    metadata: { order: "7" },
    dedupe: true,
    retried_from: parent,
  });
  expect(await contentOf(child.input_file_id)).toBe(jsonl([line(1), line(3)]));
  expect(await readFileRecord(redis, child.input_file_id)).toMatchObject({
    purpose: "batch",
    tenant: "default",
    filename: `${parent}-failed.jsonl`,
    expiresAtMs: expect.any(Number),
  });
  expect(await readBatch(redis, child.id)).toMatchObject({ outputExpiresAfterSeconds: 3_600 });
  expect(await readBatch(redis, parent)).toMatchObject({ status: end, failed: 2 });
});

test("many lines, of which every seventh failed", async () => {
  const lines = Array.from({ length: 20_000 }, (_, at) => line(at));
  const failed = lines.flatMap((_, at) => (at % 7 === 0 ? [at] : []));
  const parent = await batchWith(await storeFile(context, jsonl(lines)), lines.length, failed);
  const child = (await (await retry(parent)).json()) as { input_file_id: string };
  const content = await contentOf(child.input_file_id);
  expect(content).toBe(jsonl(lines.filter((_, at) => at % 7 === 0)));
});

test("under one Idempotency-Key it is one batch", async () => {
  const parent = await batchWith(await storeFile(context, jsonl([line(0)])), 1, [0]);
  const first = (await (await retry(parent, "once")).json()) as { id: string };
  const again = await retry(parent, "once");
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect(((await again.json()) as { id: string }).id).toBe(first.id);
  expect(((await (await retry(parent)).json()) as { id: string }).id).not.toBe(first.id);
});

test("what can't be repeated is refused with the cure", async () => {
  const input = await storeFile(context, jsonl([line(0)]));
  const running = newBatchId();
  await createBatch(redis, newBatch({ id: running, inputFileId: input.id }));
  expect(await refusal(await retry(running))).toContain(
    "is validating: wait for its end, or cancel it first",
  );
  await moveBatch(redis, running, "rejected", null, Date.now());
  expect(await refusal(await retry(running))).toContain("correct what `errors` names");
  expect(await refusal(await retry(await batchWith(input, 1, [])))).toContain("has no failed lines");

  const withoutInput = await batchWith(await storeFile(context, jsonl([line(0)])), 1, [0]);
  const record = await readBatch(redis, withoutInput);
  await context.files.remove(fileKey({ tenant: "default", id: record?.inputFileId ?? "" }));
  expect(await refusal(await retry(withoutInput))).toContain("its input file");
  const withoutErrors = await batchWith(input, 1, [0]);
  const { errorFileId } = (await readBatch(redis, withoutErrors)) ?? {};
  await context.files.remove(fileKey({ tenant: "default", id: errorFileId ?? "" }));
  expect(await refusal(await retry(withoutErrors))).toContain("its error file");
});
