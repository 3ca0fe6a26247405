import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { readSse } from "@quern/testing/jobs-api";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: OpenAI's own client uploads, submits, waits, cancels and downloads batches unchanged.

const MAX_LINES = 20;

let folder: string;
let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-openai-batches-"));
  endless = await writeEndlessModel();
  const workers = [{ slots: 4 }, { ...endless.worker, slots: 2 }];
  cluster = await startCluster({
    workers,
    env: {
      QUERN_FILES: folder,
      QUERN_BATCH_MAX_LINES: String(MAX_LINES),
      // A model that the workers don't know fails a batch at once, also while they are new.
      QUERN_BATCH_MODEL_WAIT_SECONDS: "0",
    },
  });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

type Endpoint = OpenAI.BatchCreateParams["endpoint"];
interface Line {
  custom_id: string;
  method: string;
  url: string;
  body: object;
}
interface Ended {
  id: string;
  custom_id: string;
  response: { status_code: number; request_id: string; body: Record<string, unknown> } | null;
  error: { code: string; message: string } | null;
}

const chatLine = (id: string, body: object = {}, url: string = "/v1/chat/completions"): Line => ({
  custom_id: id,
  method: "POST",
  url,
  body: {
    model: "tiny-qwen3",
    messages: [{ role: "user", content: "What is the capital of France?" }],
    ...body,
  },
});

async function upload(content: string): Promise<string> {
  const file = await client.files.create({
    purpose: "batch",
    file: await toFile(Buffer.from(content), "in.jsonl"),
  });
  return file.id;
}

async function submit(
  lines: (Line | string)[],
  endpoint: Endpoint = "/v1/chat/completions",
): Promise<OpenAI.Batch> {
  const content = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  const input_file_id = await upload(content);
  return await client.batches.create({ input_file_id, endpoint, completion_window: "24h" });
}

const OVER = ["completed", "failed", "expired", "cancelled"];

function overBatch(id: string): Promise<OpenAI.Batch> {
  return until(async () => {
    const batch = await client.batches.retrieve(id);
    const { completed, failed, total } = batch.request_counts ?? { completed: 0, failed: 0, total: 0 };
    expect(completed + failed).toBeLessThanOrEqual(total);
    return OVER.includes(batch.status) ? batch : null;
  });
}

/** By custom id; each is there once. */
async function linesOf(fileId: string | null | undefined): Promise<Map<string, Ended>> {
  if (fileId == null) return new Map();
  const text = await (await client.files.content(fileId)).text();
  expect(text.endsWith("\n")).toBe(true);
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Ended);
  const byId = new Map(lines.map((line) => [line.custom_id, line]));
  expect(byId.size).toBe(lines.length);
  return byId;
}

test("upload, submit, wait, download: every line is answered once, as its endpoint would have", async () => {
  const ids = Array.from({ length: 12 }, (_, at) => `question ${at}`);
  const { id, created_at } = await submit(ids.map((customId) => chatLine(customId)));
  const batch = await overBatch(id);
  expect(batch).toMatchObject({
    status: "completed",
    model: "tiny-qwen3",
    errors: null,
    error_file_id: null,
    request_counts: { total: 12, completed: 12, failed: 0 },
    cancelled_at: null,
    failed_at: null,
    expired_at: null,
  });
  const times = [created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at];
  expect(times).toEqual([...times].sort((a, b) => Number(a) - Number(b)));
  const lines = await linesOf(batch.output_file_id);
  expect([...lines.keys()].sort()).toEqual([...ids].sort());
  let tokens = 0;
  for (const line of lines.values()) {
    expect(line).toMatchObject({
      id: expect.stringMatching(/^batch_req_/),
      error: null,
      response: {
        status_code: 200,
        request_id: expect.any(String),
        body: {
          object: "chat.completion",
          choices: [{ message: { content: "The capital of France is Paris." }, finish_reason: "stop" }],
        },
      },
    });
    const body = line.response?.body as unknown as OpenAI.ChatCompletion | undefined;
    tokens += body?.usage?.total_tokens ?? 0;
  }
  expect(batch.usage?.total_tokens).toBe(tokens);
  expect(batch.usage?.total_tokens).toBe(
    (batch.usage?.input_tokens ?? 0) + (batch.usage?.output_tokens ?? 0),
  );
  expect(await client.files.retrieve(batch.output_file_id ?? "")).toMatchObject({ purpose: "batch_output" });
  expect((await client.batches.list({ limit: 1 })).data).toEqual([batch]);
});

test.each([
  ["/v1/completions", { model: "tiny-qwen3", prompt: "The capital of", max_tokens: 4 }, "text_completion"],
  ["/v1/embeddings", { model: "tiny-qwen3", input: ["Paris"] }, "list"],
  ["/v1/responses", { model: "tiny-qwen3", input: "What is the capital of France?" }, "response"],
] as [Endpoint, object, string][])("%s", async (endpoint, body, object) => {
  const line = { custom_id: "one", method: "POST", url: endpoint, body };
  const batch = await overBatch((await submit([line], endpoint)).id);
  expect(batch.request_counts).toEqual({ total: 1, completed: 1, failed: 0 });
  expect((await linesOf(batch.output_file_id)).get("one")?.response?.body).toMatchObject({ object });
});

test.each([
  ["invalid_json_line", [chatLine("a"), "{"], 2],
  ["duplicate_custom_id", [chatLine("a"), chatLine("b"), chatLine("a")], 3],
  ["url_mismatch", [chatLine("a", {}, "/v1/embeddings")], 1],
  ["model_mismatch", [chatLine("a"), chatLine("b", { model: "another" })], 2],
  ["model_not_found", [chatLine("a", { model: "gpt-5" })], null],
  ["empty_file", ["", ""], null],
  ["too_many_tasks", Array.from({ length: MAX_LINES + 1 }, (_, at) => chatLine(`${at}`)), null],
] as [string, (Line | string)[], number | null][])(
  "an input with %s does not fail the create, but the batch",
  async (code, lines, line) => {
    const created = await submit(lines);
    expect(created).toMatchObject({ status: "validating", errors: null });
    const batch = await overBatch(created.id);
    expect(batch).toMatchObject({ status: "failed", output_file_id: null, failed_at: expect.any(Number) });
    expect(batch.errors?.object).toBe("list");
    const fault = batch.errors?.data?.find((found) => found.code === code);
    expect(fault).toMatchObject({ message: expect.any(String) });
    if (line !== null) expect(fault?.line).toBe(line);
  },
);

test("a line's own error goes to the error file with its HTTP form, and spoils no other line", async () => {
  const lines = [
    chatLine("good"),
    chatLine("hot", { temperature: 99 }),
    chatLine("streams", { stream: true }),
  ];
  const batch = await overBatch((await submit(lines)).id);
  expect(batch).toMatchObject({ status: "completed", request_counts: { total: 3, completed: 1, failed: 2 } });
  expect([...(await linesOf(batch.output_file_id)).keys()]).toEqual(["good"]);
  const errors = await linesOf(batch.error_file_id);
  expect([...errors.keys()].sort()).toEqual(["hot", "streams"]);
  for (const line of errors.values()) {
    expect(line).toMatchObject({
      error: null,
      response: {
        status_code: 400,
        body: { error: { type: "invalid_request_error", message: expect.any(String) } },
      },
    });
  }
});

test("when all lines failed the batch is completed without an output", async () => {
  const batch = await overBatch((await submit([chatLine("hot", { temperature: 99 })])).id);
  expect(batch).toMatchObject({
    status: "completed",
    output_file_id: null,
    error_file_id: expect.any(String),
    request_counts: { total: 1, completed: 0, failed: 1 },
  });
});

test("a cancelled batch keeps what was answered; the rest is told, and can be repeated", async () => {
  const endlessLine = (id: string, body: object) => chatLine(id, { model: endless.model, ...body });
  const lines = [
    endlessLine("short", { max_tokens: 3 }),
    endlessLine("endless 1", {}),
    endlessLine("endless 2", {}),
  ];
  const { id, input_file_id } = await submit(lines);
  await until(async () => (await client.batches.retrieve(id)).request_counts?.completed === 1);
  const inUse = await client.files.delete(input_file_id).catch((error) => error);
  expect(inUse).toMatchObject({ status: 409, code: "file_in_use" });
  expect(inUse.message).toContain(id);

  const events = readSse(await fetch(`${cluster.url}/v1/batches/${id}/events?lines=true`));
  const cancelling = await client.batches.cancel(id);
  expect(["cancelling", "cancelled"]).toContain(cancelling.status);
  const seen = await Array.fromAsync(events);
  const batch = await overBatch(id);
  expect(batch).toMatchObject({
    status: "cancelled",
    request_counts: { total: 3, completed: 1, failed: 2 },
    cancelled_at: expect.any(Number),
  });
  expect([...(await linesOf(batch.output_file_id)).keys()]).toEqual(["short"]);
  const errors = await linesOf(batch.error_file_id);
  expect([...errors.keys()].sort()).toEqual(["endless 1", "endless 2"]);
  for (const line of errors.values()) {
    expect(line).toMatchObject({
      response: null,
      error: { code: "batch_cancelled", message: expect.any(String) },
    });
  }
  // Followers saw the very lines that stand in the files.
  const told = seen.filter(({ event }) => event === "line").map(({ data }) => JSON.parse(data).custom_id);
  expect(told.sort()).toEqual(["endless 1", "endless 2", "short"]);
  expect(JSON.parse(seen.at(-1)?.data ?? "")).toEqual(JSON.parse(JSON.stringify(batch)));

  const retried = await fetch(`${cluster.url}/v1/batches/${id}/retry-failed`, { method: "POST" });
  const child = (await retried.json()) as OpenAI.Batch;
  expect(child).toMatchObject({ object: "batch", retried_from: id });
  await until(async () => (await client.batches.retrieve(child.id)).request_counts?.total === 2);
  await client.batches.cancel(child.id);
  await overBatch(child.id);
  expect(await client.files.delete(input_file_id)).toMatchObject({ id: input_file_id, deleted: true });
});
