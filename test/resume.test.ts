import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a stream goes on at the next token when the worker behind it drains, and its reader notices nothing.

const MAX_TOKENS = 1_200;

interface Speaking extends Job {
  first_token_at: number | null;
}

let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  endless = await writeEndlessModel();
  const env = { QUERN_DRAIN_GRACE_SECONDS: "0" };
  cluster = await startCluster({ workers: [{ ...endless.worker, slots: 4 }], env });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

test("a chat stream and a job's events over the hand-over from one worker to the next", async () => {
  const { url } = cluster;
  const body = {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: MAX_TOKENS,
  };
  const { id } = await submitJob(url, body);
  const chat = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  });
  const chatted = Array.fromAsync(readSse(chat));
  const followed = Array.fromAsync(readSse(await fetch(`${url}/v1/jobs/${id}/events`)));
  await until(async () => {
    const { data } = await callApi<{ data: Speaking[] }>(`${url}/v1/jobs?status=running`);
    const speaking = data.filter((job) => job.first_token_at !== null);
    return speaking.length === 2;
  });

  const [first] = cluster.workers;
  expect(await first?.kill("SIGTERM")).toBe(0);
  await cluster.startWorker({ ...endless.worker, slots: 4 });

  const job = await endedJob(url, id);
  expect(job).toMatchObject({ status: "completed", attempt: 2, usage: { completion_tokens: MAX_TOKENS } });
  const events = await followed;
  expect(events.map(({ id: eventId }) => Number(eventId?.split("-")[1]))).toEqual(
    events.map((_, at) => at + 1),
  );
  const text = events.map(({ data }) => (JSON.parse(data) as { text?: string }).text ?? "").join("");
  expect(text).toBe(job.response?.body.choices[0]?.message.content);
  expect(endless.text.startsWith(text)).toBe(true);

  const chunks = (await chatted).filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data));
  const said = chunks.map(({ choices }) => choices[0]?.delta?.content ?? "").join("");
  expect(said).toBe(text);
  expect(chunks.at(-1).usage).toMatchObject({ prompt_tokens: 21, completion_tokens: MAX_TOKENS });
  // What makes resuming possible is nobody's business.
  expect(events.some(({ data }) => data.includes("progress"))).toBe(false);
});

test("a job that is cancelled between two attempts keeps what it said", async () => {
  const { url } = cluster;
  const body = { model: endless.model, messages: [{ role: "user", content: "Tell me a tale." }] };
  const { id } = await submitJob(url, body);
  const followed = Array.fromAsync(readSse(await fetch(`${url}/v1/jobs/${id}/events`)));
  await until(async () => (await callApi<Speaking>(`${url}/v1/jobs/${id}`)).first_token_at !== null);

  expect(await cluster.workers.at(-1)?.kill("SIGTERM")).toBe(0);
  expect(await callApi<Job>(`${url}/v1/jobs/${id}`)).toMatchObject({
    status: "queued",
    response: null,
    usage: null,
  });
  const job = await callApi<Job>(`${url}/v1/jobs/${id}/cancel`, { method: "POST" });

  const text = (await followed)
    .map(({ data }) => (JSON.parse(data) as { text?: string }).text ?? "")
    .join("");
  expect(text.length).toBeGreaterThan(0);
  expect(job).toMatchObject({
    status: "cancelled",
    response: { body: { choices: [{ message: { content: text }, finish_reason: null }] } },
  });
  expect(job.usage?.completion_tokens).toBeGreaterThan(0);
});
