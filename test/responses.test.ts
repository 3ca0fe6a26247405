import { type Cluster, startCluster, startReadyGateway, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: OpenAI's own client gets responses, in streams that go on anywhere, in the background, and one after the other.

type StreamEvent = OpenAI.Responses.ResponseStreamEvent;
type Asked = OpenAI.Responses.ResponseCreateParams;

let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ slots: 4 }, { ...endless.worker, slots: 2 }] });
  client = clientOf(cluster.url);
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

function clientOf(url: string): OpenAI {
  // A busy machine may be told to come again.
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 5 });
}

const france = { model: "tiny-qwen3", input: "What is the capital of France?" };
const tale = <Changes extends Partial<Asked>>(changes: Changes) => ({
  model: endless.model,
  input: "Tell me a tale.",
  ...changes,
});
const weather = {
  type: "function" as const,
  name: "get_weather",
  description: "Get the current weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  strict: null,
};
const oslo = { model: "tiny-qwen3", input: "What is the weather like in Oslo?", tools: [weather] };

function jobOf({ id }: { id: string }): Promise<Job> {
  return callApi<Job>(`${cluster.url}/v1/jobs/${id.replace("resp_", "job_")}`);
}

/** What is read of a response after it has seen `after`. */
async function eventsAfter(from: OpenAI, id: string, after?: number): Promise<StreamEvent[]> {
  const query = { stream: true as const, ...(after === undefined ? {} : { starting_after: after }) };
  return Array.fromAsync(await from.responses.retrieve(id, query));
}

function textIn(events: StreamEvent[]): string {
  return events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");
}

function idIn([created]: StreamEvent[]): string {
  if (created?.type !== "response.created") throw new Error(`a stream begins with ${created?.type}`);
  return created.response.id;
}

test("a response, which can be read again, and is a job like any other", async () => {
  const response = await client.responses.create({ ...france, metadata: { order: "7" }, temperature: 0.6 });
  expect(response).toMatchObject({
    object: "response",
    status: "completed",
    model: "tiny-qwen3",
    output_text: "The capital of France is Paris.",
    temperature: 0.6,
    metadata: { order: "7" },
    service_tier: "default",
  });
  expect(await client.responses.retrieve(response.id)).toEqual(response);
  expect(await jobOf(response)).toMatchObject({
    endpoint: "/v1/responses",
    metadata: { order: "7" },
    usage: { prompt_tokens: response.usage?.input_tokens, total_tokens: response.usage?.total_tokens },
    response: { status_code: 200, body: { id: response.id } },
  });
});

test("submitted as a job, the same body has the same response", async () => {
  const request = { endpoint: "/v1/responses", body: { ...france, instructions: "Be short." } };
  const { id } = await callApi<Job>(`${cluster.url}/v1/jobs`, { body: request, status: 202 });
  const { response } = await endedJob(cluster.url, id);
  expect(response?.body).toMatchObject({
    object: "response",
    instructions: "Be short.",
    status: "completed",
  });
  const kept = await client.responses.retrieve(id.replace("job_", "resp_"));
  expect(response?.body).toMatchObject({ id: kept.id, output: kept.output });
  const onward = { endpoint: "/v1/responses", body: { ...france, previous_response_id: kept.id } };
  const refused = callApi(`${cluster.url}/v1/jobs`, { body: onward, status: 202 });
  await expect(refused).rejects.toThrow(/400 .*body\.previous_response_id/s);
});

test("reasoning comes before the answer, as an item of its own", async () => {
  const { output, usage } = await client.responses.create({ ...france, reasoning: { effort: "low" } });
  expect(output.map(({ type }) => type)).toEqual(["reasoning", "message"]);
  expect(output[0]).toMatchObject({
    content: [{ type: "reasoning_text", text: expect.stringContaining("France") }],
  });
  expect(usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
  const plain = await client.responses.create({ ...france, reasoning: { effort: "none" } });
  expect(plain.output.map(({ type }) => type)).toEqual(["message"]);
});

test("an answer keeps to a schema, and its length to a bound", async () => {
  const schema = {
    type: "object",
    properties: { capital: { type: "string", maxLength: 20 } },
    required: ["capital"],
    additionalProperties: false,
  };
  const format = { type: "json_schema" as const, name: "capital", schema, strict: true };
  const { output_text: json } = await client.responses.create({ ...france, text: { format } });
  expect(Object.keys(JSON.parse(json) as object)).toEqual(["capital"]);
  const cut = await client.responses.create(tale({ max_output_tokens: 5 }));
  expect(cut).toMatchObject({
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
    usage: { output_tokens: 5 },
    output: [{ status: "incomplete" }],
  });
});

test("log-probabilities are those of the text's tokens", async () => {
  const asked = { ...france, include: ["message.output_text.logprobs" as const], top_logprobs: 2 };
  const whole = await client.responses.create(asked);
  const part = whole.output.flatMap((item) => (item.type === "message" ? item.content : []))[0];
  if (part?.type !== "output_text") throw new Error("it says nothing");
  expect(part.logprobs?.map(({ token }) => token).join("")).toBe(part.text);
  expect(part.logprobs?.every(({ top_logprobs: top }) => top.length === 2)).toBe(true);
});

test("a tool is called, and its answer read: with all items sent again, or with the response's id", async () => {
  const asked = await client.responses.create(oslo);
  const call = asked.output.at(-1);
  if (call?.type !== "function_call") throw new Error("no function was called");
  expect(JSON.parse(call.arguments)).toEqual({ city: "Oslo" });
  const told = {
    type: "function_call_output" as const,
    call_id: call.call_id,
    output: '{"temp_c":3,"weather":"windy"}',
  };
  const question = { role: "user" as const, content: oslo.input };
  const said = asked.output as OpenAI.Responses.ResponseInputItem[];
  const resent = await client.responses.create({ ...oslo, input: [question, ...said, told] });
  expect(resent.output_text).toMatch(/windy.*3 degrees.*Oslo/);
  const followed = await client.responses.create({ ...oslo, input: [told], previous_response_id: asked.id });
  expect(followed.output_text).toMatch(/windy.*3 degrees.*Oslo/);
  expect(followed.previous_response_id).toBe(asked.id);
  expect(followed.usage?.input_tokens).toBe(resent.usage?.input_tokens);
});

test("the client's stream helper puts a response together that is the one that is kept", async () => {
  for (const asked of [{ ...france, reasoning: { effort: "low" as const } }, oslo]) {
    const stream = client.responses.stream(asked);
    const seen: string[] = [];
    stream.on("event", ({ type }) => seen.push(type));
    const final = await stream.finalResponse();
    expect(seen.slice(0, 3)).toEqual(["response.created", "response.queued", "response.in_progress"]);
    expect(seen.at(-1)).toBe("response.completed");
    expect(final).toMatchObject(await client.responses.retrieve(final.id));
  }
});

test("a stream goes on after any of its events, at any gateway, as if it had not broken off", async () => {
  const elsewhere = clientOf(await startReadyGateway(cluster));
  for (const asked of [{ ...france, reasoning: { effort: "low" as const } }, oslo]) {
    const all = await Array.fromAsync(
      await client.responses.create({ ...asked, background: true, stream: true }),
    );
    expect(all.map(({ sequence_number: number }) => number)).toEqual([...all.keys()]);
    expect(await eventsAfter(elsewhere, idIn(all))).toEqual(all);
    for (const [position, { sequence_number: seen }] of all.entries()) {
      expect(await eventsAfter(elsewhere, idIn(all), seen)).toEqual(all.slice(position + 1));
    }
  }
});

test("a reader that hangs up in the middle reads on while the response is in progress", async () => {
  const seen: StreamEvent[] = [];
  for await (const event of await client.responses.create(tale({ background: true, stream: true }))) {
    seen.push(event);
    if (seen.length === 8) break;
  }
  const id = idIn(seen);
  expect((await client.responses.retrieve(id)).status).toBe("in_progress");
  for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: 7 })) {
    seen.push(event);
    if (seen.length === 20) await client.responses.cancel(id);
  }
  expect(seen).toEqual(await eventsAfter(client, id));
  expect(textIn(seen)).toBe((await client.responses.retrieve(id)).output_text);
});

test("in the background it is queued at once; cancelled once or twice, it keeps what it said", async () => {
  const begun = await client.responses.create(tale({ background: true }));
  expect(begun).toMatchObject({ background: true, output: [] });
  expect(["queued", "in_progress"]).toContain(begun.status);
  await until(async () => (await jobOf(begun)).status === "running");
  const following = eventsAfter(client, begun.id);
  await until(async () => (await jobOf(begun)).first_token_at !== null);
  const cancelled = await client.responses.cancel(begun.id);
  expect(cancelled).toMatchObject({ status: "cancelled", error: null, output: [{ status: "incomplete" }] });
  expect(await client.responses.cancel(begun.id)).toEqual(cancelled);
  const events = await following;
  const { output_text: text } = await client.responses.retrieve(begun.id);
  expect(textIn(events)).toBe(text);
  expect(text).not.toBe("");
  expect(endless.text.startsWith(text.slice(0, 500))).toBe(true);
  const last = events.at(-1);
  expect(last).toMatchObject({ type: "response.incomplete", response: { status: "cancelled" } });
});

test("deleted, nobody finds it, and its reader hears its end", async () => {
  const begun = await client.responses.create(tale({ background: true }));
  await until(async () => (await client.responses.retrieve(begun.id)).status === "in_progress");
  const following = eventsAfter(client, begun.id);
  const reply = await client.responses.delete(begun.id).asResponse();
  expect(await reply.json()).toEqual({ id: begun.id, object: "response", deleted: true });
  expect((await following).at(-1)).toMatchObject({ response: { status: "cancelled" } });
  const gone = { status: 404, code: "response_not_found" };
  await expect(client.responses.retrieve(begun.id)).rejects.toMatchObject(gone);
  await expect(client.responses.cancel(begun.id)).rejects.toMatchObject(gone);
  await expect(client.responses.delete(begun.id)).rejects.toMatchObject(gone);
  const followed = client.responses.create({ ...france, previous_response_id: begun.id });
  await expect(followed).rejects.toMatchObject({ ...gone, param: "previous_response_id" });
});

test.each([false, true])(
  "hanging up cancels, unless it is stored by the caller's wish (streamed: %s)",
  async (stream) => {
    for (const [store, max_output_tokens, status] of [
      [null, null, "cancelled"],
      [true, 4_000, "completed"],
    ] as const) {
      const metadata = { call: `${stream} ${store}` };
      const hangUp = new AbortController();
      const asked = client.responses
        .create(tale({ store, stream, metadata, max_output_tokens }), { signal: hangUp.signal })
        .then(async (answer) => {
          if ("controller" in answer) for await (const _event of answer) hangUp.abort();
        })
        .catch(() => {});
      const job = await until(async () => {
        const { data } = await callApi<{ data: (Job & { metadata: object })[] }>(
          `${cluster.url}/v1/jobs?limit=5`,
        );
        return data.find((one) => JSON.stringify(one.metadata) === JSON.stringify(metadata)) ?? null;
      });
      if (!stream) await until(async () => (await jobOf(job)).status === "running");
      hangUp.abort();
      await asked;
      expect((await endedJob(cluster.url, job.id)).status).toBe(status);
    }
  },
);

test("what can't be answered is refused at once, in the words of this endpoint", async () => {
  const ask = (changes: object) => client.responses.create({ ...france, ...changes });
  const pending = await client.responses.create(tale({ background: true }));
  for (const [changes, status, param] of [
    [{ model: "gpt-5" }, 404, "model"],
    [{ max_output_tokens: 1_000_000 }, 400, "max_output_tokens"],
    [{ input: "word ".repeat(2_000) }, 400, "input"],
    [{ previous_response_id: "resp_1" }, 404, "previous_response_id"],
    [{ previous_response_id: pending.id }, 400, "previous_response_id"],
    [{ tools: [{ type: "web_search" }] }, 400, "tools[0].type"],
  ] as const) {
    await expect(ask(changes)).rejects.toMatchObject({ status, param });
  }
  await client.responses.cancel(pending.id);
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=1`);
  const url = `${cluster.url}/v1/responses/${data[0]?.id.replace("job_", "resp_")}?starting_after=1`;
  await expect(callApi(url)).rejects.toThrow(/400 .*stream=true/s);
  const chat = await callApi<{ id: string }>(`${cluster.url}/v1/chat/completions`, {
    body: { model: "tiny-qwen3", messages: [{ role: "user", content: france.input }] },
  });
  const asResponse = client.responses.retrieve(chat.id.replace("chatcmpl-", "resp_"));
  await expect(asResponse).rejects.toMatchObject({ status: 404 });
});

test("a stream outlives its engine: the next attempt goes on in it, and any gateway numbers both alike", async () => {
  const elsewhere = clientOf(await startReadyGateway(cluster));
  const { id } = await client.responses.create(tale({ background: true, max_output_tokens: 8_000 }));
  const seen: StreamEvent[] = [];
  for await (const event of await client.responses.retrieve(id, { stream: true })) {
    seen.push(event);
    if (seen.length === 8) await killEngine(endless.model);
  }
  expect((await jobOf({ id })).attempt).toBe(2);
  expect(seen.map(({ sequence_number: number }) => number)).toEqual([...seen.keys()]);
  expect(await eventsAfter(elsewhere, id)).toEqual(seen);
  const whole = await client.responses.retrieve(id);
  expect(whole.usage?.output_tokens).toBe(8_000);
  expect(textIn(seen)).toBe(whole.output_text);
  expect(seen.at(-1)).toMatchObject({ response: { output: whole.output, usage: whole.usage } });
});

async function killEngine(model: string): Promise<void> {
  const { data } = await callApi<{ data: { model: string; engine_pid: number }[] }>(
    `${cluster.url}/v1/workers`,
  );
  const engine = data.find((worker) => worker.model === model)?.engine_pid;
  if (engine === undefined) throw new Error(`nobody serves ${model}`);
  process.kill(engine, "SIGKILL");
}
