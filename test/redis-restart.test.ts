import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { freePort } from "@quern/testing/free-port";
import { callApi, endedJob, type Job, readSse, submitJob } from "@quern/testing/jobs-api";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: Redis is killed under load and comes back: every job that was accepted ends once, with its whole answer.

/** More than there are slots: some run and some wait when Redis dies. */
const JOBS = 12;
const tokensOf = (position: number) => 200 + position * 40;

/** Whatever the disk does when Redis is killed, it has what it acknowledged. */
const durable = { kind: "process", appendSync: "always" } as const;

let dataDir: string;
let server: RedisServer;
let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "quern-restart-"));
  endless = await writeEndlessModel();
  const redis = { ...durable, port: await freePort(), dataDir };
  cluster = await startCluster({
    workers: [endless.worker, endless.worker].map((worker) => ({ ...worker, slots: 4 })),
    redis,
  });
  server = cluster.redis;
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

test(`${JOBS} jobs that run, wait and are read while Redis dies twice`, async () => {
  const { url } = cluster;
  const jobs = await Promise.all(
    Array.from({ length: JOBS }, (_, position) =>
      submitJob(url, {
        model: endless.model,
        messages: [{ role: "user", content: "Tell me a tale." }],
        max_tokens: tokensOf(position),
      }),
    ),
  );
  const followed = jobs.map(async ({ id }) =>
    Array.fromAsync(readSse(await fetch(`${url}/v1/jobs/${id}/events`))),
  );
  for (const ended of [1, 4]) {
    await until(async () => {
      const { data } = await callApi<{ data: Job[] }>(`${url}/v1/jobs?status=completed`);
      return data.length >= ended;
    });
    process.kill(server.pid as number, "SIGKILL");
    await server[Symbol.asyncDispose]();
    server = await startRedis({ ...durable, port: server.port, dataDir });
    await until(async () => (await fetch(`${url}/readyz`)).ok);
  }
  for (const [position, { id }] of jobs.entries()) {
    const job = await endedJob(url, id);
    expect(job).toMatchObject({ status: "completed", usage: { completion_tokens: tokensOf(position) } });
    const events = (await followed[position]) ?? [];
    expect(events.filter(({ event }) => event === "end")).toHaveLength(1);
    const text = events.map(({ data }) => (JSON.parse(data) as { text?: string }).text ?? "").join("");
    expect(text).toBe(job.response?.body.choices[0]?.message.content);
    expect(endless.text.repeat(5).startsWith(text)).toBe(true);
  }
});
