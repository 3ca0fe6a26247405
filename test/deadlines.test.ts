import { DEADLINES_KEY } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { expireDueJobs } from "@quern/shared/redis/deadlines";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a job ends at its deadline, in its queue or in its slot, whatever the clocks of gateways and workers say.

/** Five minutes off: `Date.now` is what all of ours read. */
const clockOff = (ms: number) => ({
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`const now=Date.now;Date.now=()=>now()+(${ms})`)}`,
});
const FIVE_MINUTES_MS = 300_000;

let cluster: Cluster;
let endless: EndlessModel;
let redis: Redis;

beforeAll(async () => {
  endless = await writeEndlessModel();
  const worker = {
    ...endless.worker,
    env: { ...endless.worker.env, ...clockOff(FIVE_MINUTES_MS) },
    slots: 1,
  };
  cluster = await startCluster({ workers: [worker], env: clockOff(-FIVE_MINUTES_MS) });
  redis = connectRedis(cluster.redis.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const chat = () => ({ model: endless.model, messages: [{ role: "user", content: "Tell me a tale." }] });

function submit(fields: object): Promise<Job> {
  const body = { endpoint: "/v1/chat/completions", body: chat(), ...fields };
  return callApi<Job>(`${cluster.url}/v1/jobs`, { body, status: 202 });
}

const untilState = (id: string, state: string) =>
  until(async () => {
    const job = await callApi<Job>(`${cluster.url}/v1/jobs/${id}`);
    return job.status === state ? job : null;
  });

test("a running job stops at its deadline and keeps what it said, one that waits ends without a token", async () => {
  const running = await submit({ ttl_seconds: 3 });
  const { created_at, started_at } = await untilState(running.id, "running");
  expect(Date.now() / 1_000 - created_at).toBeGreaterThan(250);
  expect((started_at ?? 0) - Date.now() / 1_000).toBeGreaterThan(250);
  const waiting = await submit({ deadline: Math.ceil(Date.now() / 1_000) + 1 });
  const [stopped, unstarted] = await Promise.all([
    endedJob(cluster.url, running.id),
    endedJob(cluster.url, waiting.id),
  ]);

  expect(stopped).toMatchObject({ status: "expired", attempt: 1, error: null });
  const text = stopped.response?.body.choices[0]?.message.content ?? "";
  expect(text.length).toBeGreaterThan(0);
  expect(endless.text.startsWith(text.slice(0, 1_000))).toBe(true);
  expect(stopped.usage?.completion_tokens).toBeGreaterThan(0);

  expect(unstarted).toMatchObject({ status: "expired", attempt: 0, response: null, usage: null });
  const events = [];
  for await (const event of readSse(await fetch(`${cluster.url}/v1/jobs/${waiting.id}/events`))) {
    events.push([event.event, JSON.parse(event.data).status]);
  }
  expect(events).toEqual([["end", "expired"]]);
  expect(await redis.zcard(DEADLINES_KEY)).toBe(0);
});

test("an awaited answer that comes too late is an error that says where the text is, streamed or not", async () => {
  for (const stream of [false, true]) {
    const reply = await fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-quern-ttl-seconds": "1.5" },
      body: JSON.stringify({ ...chat(), stream }),
    });
    const jobId = reply.headers.get("x-quern-job-id") ?? "";
    const body = await reply.text();
    expect(body).toContain('"code":"deadline_exceeded"');
    expect(body).toContain(`/v1/jobs/${jobId}`);
    if (stream) expect(body).toMatch(/data: \[DONE\]\s*$/);
    else expect([reply.status, reply.headers.get("x-should-retry")]).toEqual([504, "false"]);
    const job = await callApi<Job>(`${cluster.url}/v1/jobs/${jobId}`);
    expect(job).toMatchObject({ status: "expired", response: { status_code: 200 } });
  }
});

test("a deadline at fault is refused by its name, before anything is queued", async () => {
  const refused = (fields: object) =>
    callApi<{ error: object }>(`${cluster.url}/v1/jobs`, {
      body: { endpoint: "/v1/chat/completions", body: chat(), ...fields },
      status: 400,
    });
  const past = new Date(Date.now() - 1_000).toISOString();
  for (const [fields, param] of [
    [{ deadline: past }, "deadline"],
    [{ deadline: "soon" }, "deadline"],
    [{ ttl_seconds: 0 }, "ttl_seconds"],
    [{ ttl_seconds: 9, deadline: 1 }, "ttl_seconds"],
  ] as const) {
    expect(await refused(fields)).toMatchObject({ error: { code: "invalid_request", param } });
  }
  expect(await redis.zcard(DEADLINES_KEY)).toBe(0);
});

test("a cancelled job leaves no deadline behind", async () => {
  const job = await submit({ ttl_seconds: 600 });
  expect(await redis.zrange(DEADLINES_KEY, "0", "-1")).toEqual([job.id]);
  await callApi<Job>(`${cluster.url}/v1/jobs/${job.id}/cancel`, { method: "POST" });
  await endedJob(cluster.url, job.id);
  await until(async () => (await redis.zcard(DEADLINES_KEY)) === 0);
});

test("with no worker left, a sweep ends what is due, and a waiting caller hears of it", async () => {
  const [worker] = cluster.workers;
  await worker?.kill("SIGTERM");
  const job = await submit({ ttl_seconds: 0.5 });
  const later = await submit({ ttl_seconds: 600 });
  const ended = endedJob(cluster.url, job.id);
  await until(async () => (await expireDueJobs(redis, { retentionSeconds: 60 })).expired.length > 0);
  expect(await ended).toMatchObject({ status: "expired", attempt: 0 });
  await until(async () => {
    const job = await callApi<Job>(`${cluster.url}/v1/jobs/${later.id}`);
    return job.status === "queued" && job.queue_position !== null && job.estimate_reason === "no_worker";
  });
});
