import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { FAMILY_ANSWER, FAMILY_MIDDLE, writeFamilyModel } from "@quern/testing/gguf/family-model";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: OpenAI's own client gets completions, of a text and of a gap in one, streamed and whole.

const CODER = "tiny-coder";
const GAP = { prompt: "def add(a, b):", suffix: "\nprint(add(1, 2))" };

let folder: string;
let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-completions-"));
  endless = await writeEndlessModel();
  await writeFamilyModel(join(folder, "coder.gguf"), {
    family: "qwen2.5-coder",
    architecture: "qwen2",
    thinking: "never",
    toolCalls: "hermes",
    fillInTheMiddle: true,
  });
  const catalogueFile = join(folder, "models.yaml");
  const entry = "{ source: ./coder.gguf, family: qwen2.5-coder, contextTokens: 512 }";
  await writeFile(catalogueFile, `models:\n  ${CODER}: ${entry}\n`);
  const coder = { model: CODER, env: { QUERN_MODELS_FILE: catalogueFile } };
  cluster = await startCluster({ workers: [{}, coder, { ...endless.worker, slots: 2 }] });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test("a gap is filled, and nothing of it is taken for a form", async () => {
  const { data, response } = await client.completions.create({ model: CODER, ...GAP }).withResponse();
  expect(data).toMatchObject({
    object: "text_completion",
    model: CODER,
    id: expect.stringMatching(/^cmpl-/),
  });
  expect(data.choices).toEqual([{ index: 0, text: FAMILY_MIDDLE, logprobs: null, finish_reason: "stop" }]);
  const job = await callApi<Job>(`${cluster.url}/v1/jobs/${response.headers.get("x-quern-job-id")}`);
  expect(job).toMatchObject({ status: "completed", response: { status_code: 200, body: data } });
});

test("a gap is filled in a stream, with its usage last", async () => {
  const stream = await client.completions.create({
    model: CODER,
    ...GAP,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  expect(chunks.map(({ choices }) => choices[0]?.text ?? "").join("")).toBe(FAMILY_MIDDLE);
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
  const whole = await client.completions.create({ model: CODER, ...GAP });
  expect(chunks.at(-1)).toMatchObject({
    choices: [],
    usage: { prompt_tokens: whole.usage?.prompt_tokens, completion_tokens: whole.usage?.completion_tokens },
  });
});

test("a text is gone on from without a template: tags in the answer are text, and 16 tokens are enough", async () => {
  const whole = await client.completions.create({ model: CODER, prompt: "Hello", max_tokens: 100 });
  const [choice] = whole.choices;
  expect(choice?.text).toBe(
    `${FAMILY_ANSWER}\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>`,
  );
  // "Hello" is a token of its own.
  expect(whole.usage?.prompt_tokens).toBe(1);

  const short = await client.completions.create({ model: endless.model, prompt: "Hello" });
  expect(short.choices[0]?.finish_reason).toBe("length");
  expect(short.usage?.completion_tokens).toBe(16);
  expect(endless.text.startsWith(short.choices[0]?.text ?? "?")).toBe(true);
});

test("log-probabilities, choices and stops", async () => {
  const asked = {
    model: "tiny-qwen3",
    prompt: "The capital of France is",
    max_tokens: 8,
    n: 2,
    seed: 5,
    temperature: 1,
    logprobs: 2,
  };
  const { choices } = await client.completions.create(asked);
  expect(choices.map(({ index }) => index)).toEqual([0, 1]);
  for (const { text, logprobs } of choices) {
    const {
      tokens = [],
      token_logprobs: own = [],
      top_logprobs: top = [],
      text_offset: offsets = [],
    } = logprobs ?? {};
    expect(tokens.join("")).toBe(text);
    expect([own.length, top.length]).toEqual([tokens.length, tokens.length]);
    for (const [i, token] of tokens.entries()) {
      expect(text.slice(offsets[i]).startsWith(token)).toBe(true);
      expect(top[i]?.[token]).toBe(own[i]);
      expect(Object.keys(top[i] ?? {}).length).toBeGreaterThanOrEqual(2);
    }
  }
  const again = await client.completions.create(asked);
  expect(again.choices.map(({ text }) => text)).toEqual(choices.map(({ text }) => text));
  const stopped = await client.completions.create({
    model: endless.model,
    prompt: "a",
    max_tokens: 100,
    stop: " tale",
  });
  expect(stopped.choices[0]).toMatchObject({ text: "Line 1 of a", finish_reason: "stop" });
});

test("as a job", async () => {
  const submitted = await callApi<Job>(`${cluster.url}/v1/jobs`, {
    body: { endpoint: "/v1/completions", body: { model: CODER, ...GAP } },
    status: 202,
  });
  const job = await endedJob(cluster.url, submitted.id);
  expect(job.response?.body).toMatchObject({ object: "text_completion", choices: [{ text: FAMILY_MIDDLE }] });
});

test("what can't be carried out is refused by the name of its field", async () => {
  const ask = (changes: object) => client.completions.create({ model: CODER, prompt: "a", ...changes });
  for (const [changes, code, param] of [
    [{ prompt: [1, 2] }, "unsupported_parameter", "prompt"],
    [{ echo: true }, "unsupported_parameter", "echo"],
    [{ model: "tiny-qwen3", suffix: "b" }, "unsupported_parameter", "suffix"],
    [{ prompt: "x".repeat(600) }, "context_length_exceeded", "prompt"],
    [{ max_tokens: 513 }, "invalid_request", "max_tokens"],
  ] as const) {
    await expect(ask(changes)).rejects.toMatchObject({ status: 400, code, param });
  }
});

test("hanging up cancels the job", async () => {
  const hangUp = new AbortController();
  const stream = await client.completions.create(
    { model: endless.model, prompt: "a", max_tokens: 10_000, stream: true },
    { signal: hangUp.signal },
  );
  for await (const _chunk of stream) hangUp.abort();
  const job = await until(async () => {
    const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=1&model=${endless.model}`);
    return data[0]?.status === "cancelled" ? data[0] : null;
  });
  expect(job.attempt).toBe(1);
});
