import { type Cluster, startCluster, startReadyGateway, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse } from "@quern/testing/jobs-api";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a caller that hangs up frees its slot, unless it said that the job shall run on, and then it does.

let endless: EndlessModel;
let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({
    workers: [{ ...endless.worker, slots: 2 }],
    redis: { kind: "process" },
  });
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const tale = (changes: object = {}) => ({
  model: endless.model,
  messages: [{ role: "user" as const, content: "Tell me a tale." }],
  ...changes,
});

function ask(url: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function busySlots(): Promise<number> {
  const { data } = await callApi<{ data: { busy: number }[] }>(`${cluster.url}/v1/workers`);
  return data.reduce((sum, { busy }) => sum + busy, 0);
}

async function newestJob(): Promise<Job | null> {
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=1`);
  return data[0] ?? null;
}

/** The job of the request that `act` sends, once it runs. */
async function runningAfter(act: () => unknown): Promise<Job> {
  const before = (await newestJob())?.id;
  act();
  return until(async () => {
    const job = await newestJob();
    return job !== null && job.id !== before && job.status === "running" && job;
  });
}

test("in the background a chat is answered with its job, through OpenAI's own client", async () => {
  const { data, response } = await client.chat.completions
    .create({ ...tale({ max_tokens: 5 }), background: true } as OpenAI.ChatCompletionCreateParamsNonStreaming)
    .withResponse();
  const job = data as unknown as Job & { object: string };
  expect([response.status, job.object]).toEqual([202, "job"]);
  expect(response.headers.get("location")).toBe(`/v1/jobs/${job.id}`);
  expect((await endedJob(cluster.url, job.id)).response?.body.choices[0]?.finish_reason).toBe("length");
});

test.each([{ store: true }, { store: true, stream: true }, { background: true, stream: true }])(
  "with %j hanging up does not cancel",
  async (wish) => {
    const hangUp = new AbortController();
    const { id } = await runningAfter(() =>
      ask(cluster.url, tale({ ...wish, max_tokens: 4_000 }), hangUp.signal)
        .then((reply) => reply.text())
        .catch(() => {}),
    );
    hangUp.abort();
    expect(await endedJob(cluster.url, id)).toMatchObject({
      status: "completed",
      usage: { completion_tokens: 4_000 },
    });
  },
);

test("a stored chat, and a stream in the background, are answered as usual", async () => {
  const whole = await ask(cluster.url, tale({ store: true, max_tokens: 5 }));
  expect(((await whole.json()) as { object: string }).object).toBe("chat.completion");
  const stream = await ask(cluster.url, tale({ background: true, stream: true, max_tokens: 5 }));
  const chunks = await Array.fromAsync(readSse(stream));
  expect(chunks.at(-1)?.data).toBe("[DONE]");
  expect((await ask(cluster.url, tale({ background: "yes" }))).status).toBe(400);
});

test.each([false, true])("otherwise it does, and the slot is free (streamed: %s)", async (stream) => {
  const hangUp = new AbortController();
  const { id } = await runningAfter(() =>
    ask(cluster.url, tale({ stream }), hangUp.signal)
      .then((reply) => reply.text())
      .catch(() => {}),
  );
  await until(async () => (await busySlots()) === 1);
  hangUp.abort();
  const job = await endedJob(cluster.url, id);
  expect(job.status).toBe("cancelled");
  await until(async () => (await busySlots()) === 0);
});

test("callers that hang up at any moment, before their job was accepted too, leave no slot busy", async () => {
  const asked = Array.from({ length: 40 }, async (_, at) => {
    const hangUp = new AbortController();
    const reply = ask(cluster.url, tale({ stream: at % 2 === 0 }), hangUp.signal).then((reply) =>
      reply.text(),
    );
    // As many turns of the event loop as it is number so-and-so: some have not sent a byte by then, some are answered.
    for (let turn = 0; turn < at * 4; turn += 1) await new Promise(setImmediate);
    hangUp.abort();
    await reply.catch(() => {});
  });
  await Promise.all(asked);
  await until(async () => {
    const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=100`);
    return data.every(({ status }) => status !== "running" && status !== "queued");
  });
  await until(async () => (await busySlots()) === 0);
});

test("a caller that hangs up while Redis is away has cancelled its job when it is back", async () => {
  const hangUp = new AbortController();
  const { id } = await runningAfter(() =>
    ask(cluster.url, tale({ stream: true }), hangUp.signal)
      .then((reply) => reply.text())
      .catch(() => {}),
  );
  process.kill(cluster.redis.pid as number, "SIGSTOP");
  try {
    hangUp.abort();
    // The gateway has noticed, and found nobody to tell, once its log says that the request was cut off.
    await until(async () => cluster.gateways[0]?.output().includes(id));
  } finally {
    process.kill(cluster.redis.pid as number, "SIGCONT");
  }
  expect((await endedJob(cluster.url, id)).status).toBe("cancelled");
});

test("when the gateway itself is killed nobody cancels: the job ends, and has its answer", async () => {
  const url = await startReadyGateway(cluster);
  const { id } = await runningAfter(() =>
    ask(url, tale({ max_tokens: 4_000 }))
      .then((reply) => reply.text())
      .catch(() => {}),
  );
  await cluster.gateways.at(-1)?.kill("SIGKILL");
  expect(await endedJob(cluster.url, id)).toMatchObject({
    status: "completed",
    usage: { completion_tokens: 4_000 },
  });
});
