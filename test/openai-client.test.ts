import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, type Job } from "@quern/testing/jobs-api";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: OpenAI's own client works unchanged, and hanging up cancels.

let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ slots: 4 }, { ...endless.worker, slots: 2 }] });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const france = [{ role: "user" as const, content: "What is the capital of France?" }];
const weather = {
  type: "function" as const,
  function: {
    name: "get_weather",
    description: "Get the current weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

test("a whole answer", async () => {
  const { data, response } = await client.chat.completions
    .create({ model: "tiny-qwen3", messages: france })
    .withResponse();
  expect(data.choices[0]?.message.content).toBe("The capital of France is Paris.");
  expect(data.usage?.total_tokens).toBe(
    (data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0),
  );
  const job = await callApi<Job>(`${cluster.url}/v1/jobs/${response.headers.get("x-quern-job-id")}`);
  expect(job).toMatchObject({ status: "completed", usage: data.usage });
});

test("a streamed answer, with its usage last", async () => {
  const stream = await client.chat.completions.create({
    model: "tiny-qwen3",
    messages: france,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  expect(text).toBe("The capital of France is Paris.");
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } });
});

test("a tool is called, and its answer read", async () => {
  const question = { role: "user" as const, content: "What is the weather like in Oslo?" };
  const asked = await client.chat.completions.create({
    model: "tiny-qwen3",
    messages: [question],
    tools: [weather],
  });
  const message = asked.choices[0]?.message;
  expect(asked.choices[0]?.finish_reason).toBe("tool_calls");
  const call = message?.tool_calls?.[0];
  if (message === undefined || call?.type !== "function") throw new Error("no function was called");
  expect(JSON.parse(call.function.arguments)).toEqual({ city: "Oslo" });
  const answered = await client.chat.completions.create({
    model: "tiny-qwen3",
    messages: [
      question,
      message,
      { role: "tool", tool_call_id: call.id, content: '{"temp_c":3,"weather":"windy"}' },
    ],
    tools: [weather],
  });
  expect(answered.choices[0]?.message.content).toMatch(/windy.*3 degrees.*Oslo/);
});

test("the client's stream helper puts a tool call together", async () => {
  const stream = client.chat.completions.stream({
    model: "tiny-qwen3",
    messages: [{ role: "user", content: "What is the weather like in Oslo?" }],
    tools: [weather],
  });
  const [choice] = (await stream.finalChatCompletion()).choices;
  expect(choice?.finish_reason).toBe("tool_calls");
  const call = choice?.message.tool_calls?.[0];
  if (call?.type !== "function") throw new Error("no function was called");
  expect(call).toMatchObject({ id: expect.stringMatching(/^call_/), function: { name: "get_weather" } });
  expect(JSON.parse(call.function.arguments)).toEqual({ city: "Oslo" });
});

test("what can't be carried out is refused at once, by the name of its field", async () => {
  const ask = (changes: object) =>
    client.chat.completions.create({ model: "tiny-qwen3", messages: france, ...changes });
  const remote = { type: "json_schema", json_schema: { name: "a", schema: { $ref: "https://example.com" } } };
  for (const [changes, param] of [
    [{ top_logprobs: 2 }, "top_logprobs"],
    [{ tool_choice: "required" }, "tool_choice"],
    [{ response_format: remote }, "response_format.json_schema.schema.$ref"],
    [{ max_tokens: 1_000_000, n: 2 }, "max_tokens"],
  ] as const) {
    await expect(ask(changes)).rejects.toMatchObject({ status: 400, param });
  }
});

test("errors are the client's own error classes", async () => {
  await expect(client.chat.completions.create({ model: "gpt-5", messages: france })).rejects.toMatchObject({
    status: 404,
    code: "model_not_found",
    message: expect.stringContaining("tiny-qwen3"),
  });
  await expect(client.chat.completions.create({ model: "tiny-qwen3", messages: [] })).rejects.toBeInstanceOf(
    OpenAI.BadRequestError,
  );
  const long = [{ role: "user" as const, content: "word ".repeat(2_000) }];
  await expect(client.chat.completions.create({ model: "tiny-qwen3", messages: long })).rejects.toMatchObject(
    {
      status: 400,
      code: "context_length_exceeded",
    },
  );
});

test.each([true, false])("hanging up cancels the job (streamed: %s)", async (stream) => {
  const hangUp = new AbortController();
  const asked = client.chat.completions
    .create({ model: endless.model, messages: france, stream }, { signal: hangUp.signal })
    .then(async (answer) => {
      if ("controller" in answer) for await (const _chunk of answer) hangUp.abort();
    });
  if (!stream) {
    await until(async () => (await newestJob()).status === "running");
    hangUp.abort();
  }
  await asked.catch(() => {});
  expect(
    (await until(async () => ((await newestJob()).status === "cancelled" ? newestJob() : null))).attempt,
  ).toBe(1);
});

async function newestJob(): Promise<Job> {
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=1&model=${endless.model}`);
  return data[0] ?? ({ status: "none" } as Job);
}

test("models are listed, the ready ones first", async () => {
  const models = await Array.fromAsync(client.models.list());
  expect(models.slice(0, 2).map(({ id }) => id)).toEqual(
    expect.arrayContaining(["tiny-qwen3", endless.model]),
  );
  expect(models.map(({ id }) => id)).toContain("qwen3-8b");
});
