import { once } from "node:events";
import { jobKey, liveJobsKey, queuePrefix } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { claimJob, readJob } from "@quern/shared/redis/job-store";
import { readJobCounters } from "@quern/shared/redis/live-jobs";
import { newJob } from "@quern/shared/redis/new-job.fixture";
import { until } from "@quern/testing/cluster";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { startTcpProxy, type TcpProxy } from "@quern/testing/tcp-proxy";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { newJobId } from "./job-id.ts";
import { JobQueues } from "./job-queues.ts";
import { submitJob } from "./submit-job.ts";

// A gateway writes through a proxy, which loses its connection or its replies in the middle of a submit; the test looks at
// Redis past the proxy.

const LATENCY_MS = 25;

let server: RedisServer;
/** Past the proxy. */
let direct: Redis;
let proxy: TcpProxy;
let redis: Redis;
let queues: JobQueues;
let closing: AbortController;

beforeAll(async () => {
  server = await startRedis();
  direct = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  direct?.disconnect();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await direct.flushall();
  proxy = await startTcpProxy(server);
  redis = connectRedis(`redis://127.0.0.1:${proxy.port}`, "request", () => {});
  await once(redis, "ready");
  queues = new JobQueues(redis, () => {});
  closing = new AbortController();
});
afterEach(async () => {
  closing.abort();
  await queues.close();
  redis.disconnect();
  await proxy[Symbol.asyncDispose]();
});

function submit(id: string, whenUnclear: "withdraw" | "keep" = "withdraw") {
  const { id: _, traceparent: __, createdAtMs: ___, ...submission } = newJob();
  const submitted = submitJob(redis, queues, id, submission, { whenUnclear, closing: closing.signal });
  submitted.catch(() => {});
  return submitted;
}

/** Resolves when the record is in Redis; the submit learns it a latency later. */
async function recorded(id: string): Promise<void> {
  await until(async () => (await direct.exists(jobKey(id))) === 1);
}

/** Nothing of the job is left that would run, be listed or be counted, and nothing late brings it back. */
async function expectWithdrawn(id: string): Promise<void> {
  const { model, tenant, class: jobClass } = newJob();
  await until(async () => (await direct.hget(jobKey(id), "erased")) === "1");
  await until(async () => (await direct.zscore(liveJobsKey(tenant), id)) === null);
  const queue = new Queue(jobClass, { connection: direct, prefix: queuePrefix(model) });
  await until(async () => (await queue.getJob(id)) === undefined);
  await queue.close();
  expect(await readJob(direct, id)).toBeNull();
  expect(await claimJob(direct, id, Date.now())).toEqual({ kind: "gone" });
  await until(async () => (await readJobCounters(direct, tenant)).accepted === 0);
}

test("a submit whose connection breaks in the middle fails, and its job is withdrawn", async () => {
  proxy.enter({ kind: "pass", latencyMs: LATENCY_MS });
  const id = newJobId();
  const submitted = submit(id);
  await recorded(id);
  proxy.cut();
  await expect(submitted).rejects.toThrow();
  await expectWithdrawn(id);
});

test("a submit whose replies do not come fails, and its job is withdrawn once Redis is reached again", async () => {
  proxy.enter({ kind: "pass", latencyMs: LATENCY_MS });
  const id = newJobId();
  const submitted = submit(id);
  await recorded(id);
  proxy.enter({ kind: "blackhole" });
  await expect(submitted).rejects.toThrow("Command timed out");
  proxy.enter({ kind: "pass", latencyMs: 0 });
  await expectWithdrawn(id);
});

test("a job that a worker runs already is withdrawn as well", async () => {
  // The first submit of a model opens its queue, which takes some replies of its own.
  await submit(newJobId());
  await direct.flushall();
  proxy.enter({ kind: "pass", latencyMs: LATENCY_MS });
  const id = newJobId();
  const submitted = submit(id);
  await recorded(id);
  expect(await claimJob(direct, id, Date.now())).toMatchObject({ kind: "claimed" });
  proxy.cut();
  await expect(submitted).rejects.toThrow();
  await expectWithdrawn(id);
});

test("a job whose caller comes back with its Idempotency-Key stays, and is accepted then", async () => {
  proxy.enter({ kind: "pass", latencyMs: LATENCY_MS });
  const id = newJobId();
  const submitted = submit(id, "keep");
  await recorded(id);
  proxy.cut();
  await expect(submitted).rejects.toThrow();
  await until(async () => redis.status === "ready");
  expect(await submit(id, "keep")).toMatchObject({ id });
  expect(await direct.ttl(jobKey(id))).toBe(-1);
});

test("a submit that was never sent leaves nothing to withdraw", async () => {
  proxy.enter({ kind: "refuse" });
  await until(async () => redis.status !== "ready");
  const id = newJobId();
  await expect(submit(id)).rejects.toThrow();
  proxy.enter({ kind: "pass", latencyMs: 0 });
  await until(async () => redis.status === "ready");
  await redis.ping();
  expect(await direct.exists(jobKey(id))).toBe(0);
});
