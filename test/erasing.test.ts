import { eventsKey } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse, submitJob } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: of a job that is deleted nothing is left, whatever its worker does, and nobody waits for it any longer.

const SECRET = "the quick brown secret";
let endless: EndlessModel;
let cluster: Cluster;
let redis: Redis;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ ...endless.worker, slots: 2 }] });
  redis = connectRedis(cluster.redis.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const tale = (changes: object = {}) => ({
  model: endless.model,
  messages: [{ role: "user", content: SECRET }],
  ...changes,
});
const erase = (id: string) => callApi(`${cluster.url}/v1/jobs/${id}`, { method: "DELETE" });

async function expectGone(id: string): Promise<void> {
  const { error } = await callApi<{ error: { code: string } }>(`${cluster.url}/v1/jobs/${id}`, {
    status: 404,
  });
  expect(error.code).toBe("job_not_found");
  await callApi(`${cluster.url}/v1/jobs/${id}/events`, { status: 404 });
  await callApi(`${cluster.url}/v1/jobs/${id}`, { method: "DELETE", status: 404 });
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=100`);
  expect(data.map((job) => job.id)).not.toContain(id);
  for (const key of await redis.keys(`*${id}*`)) {
    // A lease may still be there, under the worker's name.
    const text = (await redis.type(key)) === "string" ? await redis.get(key) : await redis.hgetall(key);
    expect(JSON.stringify(text)).not.toContain(SECRET);
  }
  expect(await redis.exists(eventsKey(id))).toBe(0);
}

async function idleWorker(): Promise<void> {
  await until(async () => {
    const { data } = await callApi<{ data: { busy: number }[] }>(`${cluster.url}/v1/workers`);
    return data.length > 0 && data.every(({ busy }) => busy === 0);
  });
}

test("an ended job", async () => {
  const { id } = await submitJob(cluster.url, tale({ max_tokens: 5 }));
  await endedJob(cluster.url, id);
  expect(await erase(id)).toEqual({ id, object: "job", deleted: true });
  await expectGone(id);
});

test("a running job stops, its followers come to an end, and its slot is free", async () => {
  const { id } = await submitJob(cluster.url, tale());
  const events = readSse(await fetch(`${cluster.url}/v1/jobs/${id}/events`));
  const waiting = fetch(`${cluster.url}/v1/jobs/${id}?wait=50`);
  let deltas = 0;
  let last = "";
  for await (const { event, data } of events) {
    last = `${event} ${data}`;
    if (event === "delta" && ++deltas === 2) await erase(id);
  }
  expect(last).toMatch(/^end .*"cancelled"/);
  expect((await waiting).status).toBe(404);
  await idleWorker();
  await expectGone(id);
});

test("a queued job never runs", async () => {
  const running = await Promise.all([submitJob(cluster.url, tale()), submitJob(cluster.url, tale())]);
  const { id } = await submitJob(cluster.url, tale());
  await erase(id);
  await expectGone(id);
  for (const job of running) await erase(job.id);
  await idleWorker();
  await expectGone(id);
});

test("a worker that was frozen meanwhile writes nothing of it", async () => {
  const [worker] = cluster.workers;
  if (worker === undefined) throw new Error("there is a worker");
  const { id } = await submitJob(cluster.url, tale());
  await until(async () => (await redis.exists(eventsKey(id))) === 1);
  process.kill(worker.pid, "SIGSTOP");
  try {
    await erase(id);
    await expectGone(id);
  } finally {
    process.kill(worker.pid, "SIGCONT");
  }
  await idleWorker();
  await expectGone(id);
  const next = await submitJob(cluster.url, tale({ max_tokens: 5 }));
  expect((await endedJob(cluster.url, next.id)).status).toBe("completed");
});

test("a caller that waits for an answer is told, streamed or not", async () => {
  for (const stream of [false, true]) {
    const asked = fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(tale({ stream })),
    });
    const { id } = await until(async () => {
      const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=1&status=running`);
      return data[0];
    });
    await erase(id);
    const reply = await asked;
    if (stream) expect(await reply.text()).toMatch(/job_cancelled.*\n\ndata: \[DONE\]/);
    else expect(reply.status).toBe(404);
  }
});

test("its Idempotency-Key is free again", async () => {
  const submit = async () => {
    const reply = await fetch(`${cluster.url}/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "erased" },
      body: JSON.stringify({ endpoint: "/v1/chat/completions", body: tale({ max_tokens: 3 }) }),
    });
    return ((await reply.json()) as Job).id;
  };
  const id = await submit();
  expect(await submit()).toBe(id);
  await erase(id);
  const next = await submit();
  expect(next).not.toBe(id);
  await endedJob(cluster.url, next);
});
