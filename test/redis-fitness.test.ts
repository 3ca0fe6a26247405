import { connectRedis } from "@quern/shared/redis/connect";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: no job is accepted by a Redis that may drop it, or that is full; what was accepted ends when it is cured.

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
  messages: [{ role: "user", content: "Tell me a tale." }],
  ...changes,
});

async function refusedWith(code: string): Promise<string> {
  let message = "";
  for (const [path, body] of [
    ["/v1/jobs", { endpoint: "/v1/chat/completions", body: tale() }],
    ["/v1/chat/completions", tale()],
    ["/v1/embeddings", { model: endless.model, input: "Paris" }],
  ] as const) {
    const reply = await fetch(`${cluster.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      // It answers within a second; the rest is for a busy machine.
      signal: AbortSignal.timeout(3_000),
    });
    expect(reply.status).toBe(503);
    expect(reply.headers.get("retry-after")).toBe("1");
    const { error } = (await reply.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe(code);
    message = error.message;
  }
  return message;
}

async function expectNotReady(cure: string, url = cluster.url): Promise<void> {
  const reply = await fetch(`${url}/readyz`);
  expect(reply.status).toBe(503);
  expect(await reply.json()).toEqual({
    status: "not_ready",
    reasons: ["redis_refuses_writes"],
    message: expect.stringContaining(cure),
  });
}

test("one that evicts is not ready, and refuses jobs with the cure, until it is cured", async () => {
  const before = await submitJob(cluster.url, tale({ max_tokens: 5 }));
  await redis.config("SET", "maxmemory-policy", "allkeys-lru");
  const notReady = await until(async () => {
    const reply = await fetch(`${cluster.url}/readyz`);
    return reply.status === 503 ? reply : null;
  });
  expect(await notReady.json()).toEqual({
    status: "not_ready",
    reasons: ["redis_evicts"],
    message: expect.stringContaining("config set maxmemory-policy noeviction"),
  });
  expect(await refusedWith("redis_evicts")).toContain("config set maxmemory-policy noeviction");
  // A gateway that starts now has not looked yet; it does before its first job.
  const other = await cluster.startGateway();
  const refused = await fetch(`${other}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ endpoint: "/v1/chat/completions", body: tale() }),
  });
  expect(refused.status).toBe(503);
  expect((await endedJob(cluster.url, before.id)).status).toBe("completed");
  await expect(cluster.startWorker({ ...endless.worker })).rejects.toThrow("maxmemory-policy noeviction");

  await redis.config("SET", "maxmemory-policy", "noeviction");
  const { id } = await submitJob(other, tale({ max_tokens: 5 }));
  expect((await endedJob(cluster.url, id)).status).toBe("completed");
  expect((await fetch(`${cluster.url}/readyz`)).status).toBe(200);
});

test("when its memory is full submits are refused, and what was accepted ends once there is room", async () => {
  const running = await submitJob(cluster.url, tale({ max_tokens: 6_000 }));
  await until(async () => (await callApi<Job>(`${cluster.url}/v1/jobs/${running.id}`)).status === "running");
  const accepted = [running.id];
  await redis.config("SET", "maxmemory", "1mb");
  try {
    expect(await refusedWith("redis_unavailable")).toContain("maxmemory");
    // Reading goes on, and the gateway is not ready.
    expect((await fetch(`${cluster.url}/v1/jobs/${running.id}`)).status).toBe(200);
    await expectNotReady("maxmemory");
  } finally {
    await redis.config("SET", "maxmemory", "0");
  }
  expect((await fetch(`${cluster.url}/readyz`)).status).toBe(200);
  accepted.push((await submitJob(cluster.url, tale({ max_tokens: 5 }))).id);
  for (const id of accepted) expect((await endedJob(cluster.url, id)).status).toBe("completed");
  const { data } = await callApi<{ data: Job[] }>(`${cluster.url}/v1/jobs?limit=100`);
  expect(data.filter(({ status }) => status === "queued" || status === "running")).toEqual([]);
  // Refused submits left no half of a job that would run or be shown.
  const events = await fetch(`${cluster.url}/v1/jobs/${running.id}/events`);
  expect((await events.text()).match(/^event: (start|end|restart)$/gm)).toEqual([
    "event: start",
    "event: end",
  ]);
});

test("one without the replicas that it waits for is not ready, and refuses jobs", async () => {
  await redis.config("SET", "min-replicas-to-write", "1");
  try {
    await expectNotReady("min-replicas-to-write");
    expect(await refusedWith("redis_unavailable")).toContain("min-replicas-to-write");
  } finally {
    await redis.config("SET", "min-replicas-to-write", "0");
  }
  expect((await fetch(`${cluster.url}/readyz`)).status).toBe(200);
});

test("jobs are accepted up to the brim, and each of those that were ends", async () => {
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1]);
  await redis.config("SET", "maxmemory", String(used + 300_000));
  const accepted: string[] = [];
  const ballast = "x".repeat(10_000);
  try {
    for (;;) {
      const reply = await fetch(`${cluster.url}/v1/jobs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          endpoint: "/v1/chat/completions",
          body: { ...tale({ max_tokens: 2 }), messages: [{ role: "user", content: `${accepted.length}` }] },
          metadata: Object.fromEntries(
            Array.from({ length: 16 }, (_, at) => [`${at}`, ballast.slice(0, 512)]),
          ),
        }),
      });
      if (reply.status !== 202) {
        expect(reply.status).toBe(503);
        break;
      }
      accepted.push(((await reply.json()) as Job).id);
    }
  } finally {
    await redis.config("SET", "maxmemory", "0");
  }
  expect(accepted.length).toBeGreaterThan(3);
  for (const id of accepted) expect((await endedJob(cluster.url, id)).status).toBe("completed");
});

test("a read-only replica is not ready, until it takes writes again", async () => {
  await using primary = await startRedis();
  await using other = await startCluster({ workers: [], schedulers: [] });
  const replica = connectRedis(other.redis.url, "work", () => {});
  try {
    await until(async () => (await fetch(`${other.url}/readyz`)).ok);
    await replica.replicaof("127.0.0.1", primary.port);
    await expectNotReady("REDIS_URL", other.url);
    await replica.replicaof("NO", "ONE");
    expect((await fetch(`${other.url}/readyz`)).status).toBe(200);
  } finally {
    replica.disconnect();
  }
});
