import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { freePort } from "@quern/testing/free-port";
import { callApi, endedJob, type Job, readSse, submitJob } from "@quern/testing/jobs-api";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: without Redis the answer is 503, soon; with it back everything goes on, and what ran is not lost.

/** How long Redis stays away; the test waits for states otherwise, which takes a second or two. */
const OUTAGE_MS = Number(process.env.QUERN_OUTAGE_SECONDS ?? 0) * 1_000;

/** Whatever the disk does when Redis is killed, it has what it acknowledged. */
const durable = { kind: "process", appendSync: "always" } as const;

let dataDir: string;
let port: number;
let server: RedisServer;
let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "quern-outage-"));
  port = await freePort();
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [endless.worker], redis: { ...durable, port, dataDir } });
  server = cluster.redis;
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

const body = (maxTokens: number) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  max_tokens: maxTokens,
});

async function refusedWith503(): Promise<void> {
  for (const [path, request] of [
    ["/v1/jobs", { endpoint: "/v1/chat/completions", body: body(5) }],
    ["/v1/chat/completions", body(5)],
  ] as const) {
    const reply = await fetch(`${cluster.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      // It answers within a second; the rest is for a busy machine.
      signal: AbortSignal.timeout(3_000),
    });
    expect(reply.status).toBe(503);
    expect(Number(reply.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await reply.json()).toMatchObject({ error: { code: "redis_unavailable" } });
  }
  expect((await fetch(`${cluster.url}/readyz`)).status).toBe(503);
}

test("a gateway that is told to stop while Redis is away ends in order", async () => {
  await cluster.startGateway();
  process.kill(server.pid as number, "SIGKILL");
  await until(async () => (await fetch(`${cluster.url}/readyz`)).status === 503);
  expect(await cluster.gateways.at(-1)?.kill("SIGTERM")).toBe(0);
  await server[Symbol.asyncDispose]();
  server = await startRedis({ kind: "process", port, dataDir });
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);
});

test("a job that runs when Redis is killed ends once Redis is back, and its stream is whole", {
  timeout: 60_000 + 2 * OUTAGE_MS,
}, async () => {
  const { id } = await submitJob(cluster.url, body(6_000));
  const stream = (async () => Array.fromAsync(readSse(await fetch(`${cluster.url}/v1/jobs/${id}/events`))))();
  await until(async () => (await callApi<Job>(`${cluster.url}/v1/jobs/${id}`)).status === "running");

  process.kill(server.pid as number, "SIGKILL");
  await until(async () => (await fetch(`${cluster.url}/readyz`)).status === 503);
  await refusedWith503();
  if (OUTAGE_MS > 0) await sleep(OUTAGE_MS);
  await server[Symbol.asyncDispose]();
  server = await startRedis({ ...durable, port, dataDir });
  const backAtMs = performance.now();
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);

  const job = await endedJob(cluster.url, id);
  expect(job).toMatchObject({ status: "completed", usage: { completion_tokens: 6_000 } });
  if (OUTAGE_MS > 0)
    console.log(`it ended ${Math.round(performance.now() - backAtMs)} ms after Redis was back`);
  const deltas = (await stream).filter(({ event }) => event === "delta");
  const text = deltas.map(({ data }) => (JSON.parse(data) as { text?: string }).text ?? "").join("");
  expect(text).toBe(job.response?.body.choices[0]?.message.content);
  expect((await endedJob(cluster.url, (await submitJob(cluster.url, body(5))).id)).status).toBe("completed");
});

test("a Redis that is silent is as good as none", async () => {
  process.kill(server.pid as number, "SIGSTOP");
  try {
    await refusedWith503();
  } finally {
    process.kill(server.pid as number, "SIGCONT");
  }
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);
  expect((await endedJob(cluster.url, (await submitJob(cluster.url, body(5))).id)).status).toBe("completed");
});
