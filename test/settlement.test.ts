import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: every accepted job ends and is counted once, also when its queue forgets it, and when its deadline comes first.

let endless: EndlessModel;
let cluster: Cluster;
let redis: Redis;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [endless.worker], schedulers: [{}, {}] });
  redis = new Redis(cluster.redis.url);
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const body = (maxTokens: number) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  max_tokens: maxTokens,
});
const counters = async () => {
  const [counted = {}, live] = await Promise.all([
    redis.hgetall("quern:counters:{default}"),
    redis.zcard("quern:live:{default}"),
  ]);
  const numbers = Object.fromEntries(Object.entries(counted).map(([name, count]) => [name, Number(count)]));
  return { ...numbers, live } as Record<string, number>;
};
const settled = () => until(async () => ((await counters()).live === 0 ? counters() : null));

test("jobs that end in each way are counted once, with their tokens", async () => {
  const [completed, cancelled] = await Promise.all([
    submitJob(cluster.url, body(5)),
    submitJob(cluster.url, body(10_000)),
  ]);
  await callApi<Job>(`${cluster.url}/v1/jobs/${cancelled.id}/cancel`, { body: {} });
  const ends = await Promise.all([completed, cancelled].map(({ id }) => endedJob(cluster.url, id)));
  expect(ends.map(({ status }) => status)).toEqual(["completed", "cancelled"]);
  const tokens = ends.map(({ usage }) => usage?.completion_tokens ?? 0);
  expect(await settled()).toMatchObject({
    accepted: 2,
    completed: 1,
    cancelled: 1,
    completion_tokens: (tokens[0] ?? 0) + (tokens[1] ?? 0),
  });
});

test("a job that is erased was accepted nevertheless, and counts as cancelled", async () => {
  const before = await settled();
  const { id } = await submitJob(cluster.url, body(10_000));
  await callApi(`${cluster.url}/v1/jobs/${id}`, { method: "DELETE" });
  expect(await settled()).toMatchObject({
    accepted: (before.accepted ?? 0) + 1,
    cancelled: (before.cancelled ?? 0) + 1,
  });
});

test("a job that its queue has forgotten runs nevertheless, and one that is due ends without a worker", async () => {
  const before = await counters();
  await cluster.workers[0]?.kill("SIGTERM");
  const forgotten = await submitJob(cluster.url, body(5));
  const request = { endpoint: "/v1/chat/completions", body: body(5), ttl_seconds: 1 };
  const due = await callApi<Job>(`${cluster.url}/v1/jobs`, { body: request, status: 202 });
  // As if Redis had lost its last second.
  await redis.del(`{quern:${endless.model}}:interactive:${forgotten.id}`);
  await redis.lrem(`{quern:${endless.model}}:interactive:wait`, 1, forgotten.id);
  expect((await endedJob(cluster.url, due.id)).status).toBe("expired");

  await cluster.startWorker(endless.worker);
  expect(await endedJob(cluster.url, forgotten.id)).toMatchObject({ status: "completed", attempt: 1 });
  expect(await settled()).toMatchObject({
    accepted: (before.accepted ?? 0) + 2,
    completed: (before.completed ?? 0) + 1,
    expired: 1,
  });
});

test("when the sweeping scheduler is killed another one sweeps", async () => {
  const sweeping = () => cluster.schedulers.filter(({ output }) => output().includes("sweeps now"));
  const first = await until(async () => sweeping()[0]);
  await first.kill("SIGKILL");
  const job = await submitJob(cluster.url, body(5));
  await endedJob(cluster.url, job.id);
  // An end that nobody was told of.
  await redis.zadd("quern:live:{default}", 1, job.id);
  await settled();
  expect(sweeping().length).toBe(2);
});
