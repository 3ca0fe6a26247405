import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { writeEmbeddingModel } from "@quern/testing/gguf/embedding-model";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: OpenAI's own client gets embeddings, of embedding models and of chat models, through the queue.

const CONTEXT_TOKENS = 1_024;
const MODEL = "tiny-embedding";

let folder: string;
let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-embeddings-"));
  endless = await writeEndlessModel();
  await writeEmbeddingModel(join(folder, "embedding.gguf"));
  const catalogueFile = join(folder, "models.yaml");
  const entry = `{ source: ./embedding.gguf, family: qwen3-embedding, aliases: [Tiny-Embedding], contextTokens: ${CONTEXT_TOKENS} }`;
  await writeFile(catalogueFile, `models:\n  ${MODEL}: ${entry}\n`);
  const env = { QUERN_MODELS_FILE: catalogueFile };
  cluster = await startCluster({
    workers: [{}, { model: MODEL, env }, { ...endless.worker, slots: 2 }],
  });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test.each([MODEL, "tiny-qwen3"])(
  "vectors of %s, as numbers and as the client asks by itself",
  async (model) => {
    const input = ["What is the capital of France?", "Paris", "What is the capital of France?"];
    const { data: decoded, response } = await client.embeddings.create({ model, input }).withResponse();
    const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
    const vectors = plain.data.map(({ embedding }) => embedding);
    expect(plain.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(decoded.data.map(({ embedding }) => [...embedding])).toEqual(vectors);
    expect(vectors[2]).toEqual(vectors[0]);
    expect(vectors[1]).not.toEqual(vectors[0]);
    for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    expect(plain.usage.prompt_tokens).toBeGreaterThan(input.length);
    expect(plain.usage.total_tokens).toBe(plain.usage.prompt_tokens);

    const job = await callApi<Job>(`${cluster.url}/v1/jobs/${response.headers.get("x-quern-job-id")}`);
    expect(job).toMatchObject({
      status: "completed",
      usage: { prompt_tokens: plain.usage.prompt_tokens, completion_tokens: 0 },
      response: { status_code: 200, body: { object: "list", model } },
    });
  },
);

test("fewer dimensions, by an alias of the model", async () => {
  const { data, model } = await client.embeddings.create({
    model: "Tiny-Embedding",
    input: "Paris",
    dimensions: 5,
  });
  expect(model).toBe(MODEL);
  expect(data[0]?.embedding).toHaveLength(5);
  expect(Math.hypot(...(data[0]?.embedding ?? []))).toBeCloseTo(1, 6);
});

test("as a job, whose events say how it went and hold no vectors", async () => {
  const submitted = await callApi<Job>(`${cluster.url}/v1/jobs`, {
    body: { endpoint: "/v1/embeddings", body: { model: MODEL, input: ["Paris", "Oslo"] } },
    status: 202,
  });
  const job = await endedJob(cluster.url, submitted.id);
  const direct = await client.embeddings.create({
    model: MODEL,
    input: ["Paris", "Oslo"],
    encoding_format: "float",
  });
  expect(job.response?.body).toEqual(direct);
  const events = await (await fetch(`${cluster.url}/v1/jobs/${job.id}/events`)).text();
  expect(events.match(/^event: .*$/gm)).toEqual(["event: start", "event: end"]);
  expect(events).toContain('"status":"completed"');
});

test("what can't be embedded is refused at once, by the name of its field", async () => {
  const ask = (changes: object) => client.embeddings.create({ model: MODEL, input: "Paris", ...changes });
  const long = "x".repeat(CONTEXT_TOKENS);
  for (const [changes, code, param, message] of [
    [{ dimensions: 65 }, "invalid_request", "dimensions", /64/],
    [{ input: ["a", long, long] }, "context_length_exceeded", "input[1]", /input 1 has 1025 tokens/],
    [{ input: [[1, 2]] }, "unsupported_parameter", "input", /token ids/],
    [{ model: "gpt-5" }, "model_not_found", "model", /tiny-embedding/],
  ] as const) {
    await expect(ask(changes)).rejects.toMatchObject({
      code,
      param,
      message: expect.stringMatching(message),
    });
  }
  const inside = { endpoint: "/v1/embeddings", body: { model: MODEL, input: [] } };
  const refused = callApi(`${cluster.url}/v1/jobs`, { body: inside, status: 202 });
  await expect(refused).rejects.toThrow(/"param":"body.input"/);
});

test("an embedding model writes no text, and says who does", async () => {
  const messages = [{ role: "user" as const, content: "Hi" }];
  await expect(client.chat.completions.create({ model: MODEL, messages })).rejects.toMatchObject({
    status: 400,
    param: "model",
    message: expect.stringMatching(/gives vectors.*served: .*tiny-qwen3/),
  });
  const models = await Array.fromAsync(client.models.list());
  expect(models.find(({ id }) => id === MODEL)).toMatchObject({ kind: "embedding", ready: true });
});

test("hanging up cancels the job", async () => {
  const hangUp = new AbortController();
  // About 250 tokens each: some seconds of work.
  const input = Array.from({ length: 1_000 }, (_, i) => `${i} ${"x".repeat(250)}`);
  const asked = client.embeddings.create({ model: MODEL, input }, { signal: hangUp.signal });
  await until(async () => (await newestJob()).status === "running");
  hangUp.abort();
  await expect(asked).rejects.toThrow(OpenAI.APIUserAbortError);
  const job = await until(async () => ((await newestJob()).status === "cancelled" ? newestJob() : null));
  expect(job).toMatchObject({ attempt: 1, response: null });
});

test("running chats and 64 inputs leave each other alone", async () => {
  const input = Array.from({ length: 64 }, (_, i) => `Text number ${i}`);
  const model = endless.model;
  const alone = await client.embeddings.create({ model, input });
  const chat = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "Tell me a tale" }],
    stream: true,
  });
  let text = "";
  let beside: typeof alone | null = null;
  for await (const { choices } of chat) {
    text += choices[0]?.delta.content ?? "";
    if (text.length > 200 && beside === null) beside = await client.embeddings.create({ model, input });
    if (beside !== null && text.length > 2_000) break;
  }
  expect(beside?.data).toEqual(alone.data);
  expect(endless.text.startsWith(text)).toBe(true);
});

async function newestJob(): Promise<Job> {
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=1&model=${MODEL}`);
  return data[0] ?? ({ status: "none" } as Job);
}
