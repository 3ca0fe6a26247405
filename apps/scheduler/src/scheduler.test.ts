import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NewJob } from "@quern/shared/contract/job";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import { webhookKey } from "@quern/shared/contract/names";
import type { WebhookState } from "@quern/shared/contract/webhook";
import { connectRedis } from "@quern/shared/redis/connect";
import { eraseJob } from "@quern/shared/redis/erase-job";
import { cancelJob, confirmJob, createJob, readJob } from "@quern/shared/redis/job-store";
import { enterLiveJob, readJobCounters, settleEnded } from "@quern/shared/redis/live-jobs";
import { newJob } from "@quern/shared/redis/new-job.fixture";
import { until } from "@quern/testing/cluster";
import { freePort } from "@quern/testing/free-port";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { answering, startWebhookSink, type WebhookSink } from "@quern/testing/webhook-sink";
import type { Redis } from "ioredis";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readEnv, toConfig } from "./config.ts";
import { runScheduler } from "./scheduler.ts";
import type { Resolve } from "./webhooks/receiver-addresses.ts";

const secretOf = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString("base64")}`;
const [JOB_SECRET, TENANT_SECRET, NEXT_SECRET] = [secretOf(1), secretOf(2), secretOf(3)];

let server: RedisServer;
let redis: Redis;
let sinks: WebhookSink[] = [];
let running: { stop: AbortController; ended: Promise<void> }[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterEach(async () => {
  const [stopping, closing] = [running, sinks];
  [running, sinks] = [[], []];
  for (const { stop } of stopping) stop.abort();
  await Promise.all(stopping.map(({ ended }) => ended));
  await Promise.all(closing.map((sink) => sink[Symbol.asyncDispose]()));
  await redis.flushall();
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

/** Retries come at once, ten in all, unless the test says otherwise. */
function scheduler(
  env: Record<string, string> = {},
  resolve?: Resolve,
): { stop: AbortController; ended: Promise<void> } {
  const stop = new AbortController();
  const config = toConfig(
    readEnv({
      REDIS_URL: server.url,
      QUERN_WEBHOOK_ALLOW_PRIVATE: "true",
      QUERN_WEBHOOK_SECRET: TENANT_SECRET,
      QUERN_WEBHOOK_RETRY_SECONDS: Array(10).fill("0.01").join(","),
      QUERN_LOG_LEVEL: "error",
      ...env,
    }),
  );
  const started = { stop, ended: runScheduler(config, stop.signal, resolve) };
  running.push(started);
  return started;
}

async function sink(...answer: Parameters<typeof startWebhookSink>): Promise<WebhookSink> {
  const started = await startWebhookSink(...answer);
  sinks.push(started);
  return started;
}

/** A job that was accepted and then cancelled, as gateways do both. */
async function endedJob(url: string, secret: string | null = null, on: Redis = redis): Promise<NewJob> {
  const job = newJob({ webhook: { url, secret } });
  await createJob(on, job);
  await enterLiveJob(on, job);
  await confirmJob(on, job);
  await cancelJob(on, job.id, { retentionSeconds: 600 }, Date.now());
  await settleEnded(on, job);
  return job;
}

function webhookEnd(job: NewJob, on: Redis = redis): Promise<WebhookState> {
  return until(async () => {
    const record = await readJob(on, job.id);
    if (record === null || !isTerminal(record.state)) throw new Error("the job is not there, or not ended");
    return record.webhook?.status === "pending" ? null : record.webhook;
  });
}

test("a receiver that fails five times gets the same message each time, and takes it once", async () => {
  scheduler();
  const receiver = await sink(answering((number) => (number <= 5 ? 503 : 200)));
  const job = await endedJob(receiver.url, JOB_SECRET);
  expect(await webhookEnd(job)).toEqual({
    url: receiver.url,
    signer: "job",
    status: "delivered",
    attempts: 6,
    lastStatusCode: 200,
    lastError: null,
  });
  const official = new Webhook(JOB_SECRET);
  const messages = receiver.received.map(({ headers, body }) => {
    const message = official.verify(body, headers as Record<string, string>);
    return { id: headers["webhook-id"], message };
  });
  expect(messages).toHaveLength(6);
  expect(new Set(messages.map(({ id }) => id))).toEqual(new Set([job.id.replace("job_", "msg_")]));
  for (const { message } of messages) {
    expect(message).toMatchObject({ type: "job.cancelled", data: { id: job.id, status: "cancelled" } });
  }
  // A moment after its end stands in the record.
  await until(async () => (await redis.exists(webhookKey(job.id))) === 0);
});

test("a job without a secret is signed with each of the tenant's", async () => {
  scheduler({ QUERN_WEBHOOK_SECRET: `${TENANT_SECRET},${NEXT_SECRET}` });
  const receiver = await sink(answering(() => 200));
  const job = await endedJob(receiver.url);
  await webhookEnd(job);
  const [{ headers, body } = { headers: {}, body: "" }] = receiver.received;
  for (const secret of [TENANT_SECRET, NEXT_SECRET]) {
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toBeTruthy();
  }
  expect(() => new Webhook(JOB_SECRET).verify(body, headers as Record<string, string>)).toThrow();
});

test("410 stops a webhook at once; a schedule that ran out ends it as failed", async () => {
  scheduler({ QUERN_WEBHOOK_RETRY_SECONDS: "0,0.01,0.01" });
  const unwilling = await sink(answering(() => 410));
  const broken = await sink(answering(() => 500));
  const [gone, failed] = [await endedJob(unwilling.url), await endedJob(broken.url)];
  expect(await webhookEnd(gone)).toMatchObject({ status: "disabled", attempts: 1, lastStatusCode: 410 });
  expect(await webhookEnd(failed)).toMatchObject({
    status: "failed",
    attempts: 3,
    lastStatusCode: 500,
    lastError: "status 500",
  });
  expect(unwilling.received).toHaveLength(1);
  expect(broken.received).toHaveLength(3);
});

test("a name that leads into this network is refused at each attempt", async () => {
  const strict = { QUERN_WEBHOOK_ALLOW_PRIVATE: "false", QUERN_WEBHOOK_RETRY_SECONDS: "0,0.01" };
  scheduler(strict, async () => [{ address: "127.0.0.1", family: 4 }]);
  const receiver = await sink(answering(() => 200));
  const job = await endedJob(`http://receiver.example:${receiver.port}/`);
  expect(await webhookEnd(job)).toMatchObject({
    status: "failed",
    attempts: 2,
    lastStatusCode: null,
    lastError: "the receiver's address is not of the public internet",
  });
  expect(receiver.received).toEqual([]);
});

test("a job's own secret that is lost is not replaced by another", async () => {
  const receiver = await sink(answering((number) => (number === 1 ? 500 : 200)));
  const job = await endedJob(receiver.url, JOB_SECRET);
  scheduler({ QUERN_WEBHOOK_RETRY_SECONDS: "0,2" });
  await receiver.count(1);
  await redis.hdel(webhookKey(job.id), "secret");
  expect(await webhookEnd(job)).toMatchObject({
    status: "failed",
    lastError: "no secret is left that could sign it",
  });
  expect(receiver.received).toHaveLength(1);
});

test("what waits for its next attempt is not delivered once its job is erased", async () => {
  const receiver = await sink(answering(() => 500));
  const erased = await endedJob(receiver.url, JOB_SECRET);
  scheduler({ QUERN_WEBHOOK_RETRY_SECONDS: "0,1" });
  await receiver.count(1);
  await eraseJob(redis, { ...erased, idempotencyKeyHash: null, deadlineAtMs: null });
  const next = await endedJob(receiver.url);
  expect(await webhookEnd(next)).toMatchObject({ status: "failed", attempts: 2 });
  const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
  expect(ids.filter((id) => id === erased.id.replace("job_", "msg_"))).toHaveLength(1);
  expect(JSON.stringify(await redis.keys("*"))).not.toContain(`quern:webhook:{${erased.id}}`);
});

test("two schedulers deliver each webhook once, and count each job once", async () => {
  scheduler();
  scheduler();
  const receiver = await sink(answering(() => 200));
  const jobs = await Promise.all(Array.from({ length: 40 }, () => endedJob(receiver.url)));
  await Promise.all(jobs.map((job) => webhookEnd(job)));
  const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
  expect(new Set(ids).size).toBe(40);
  expect(ids).toHaveLength(40);
  await until(async () => (await readJobCounters(redis, "default")).live === 0);
  expect(await readJobCounters(redis, "default")).toMatchObject({ accepted: 40, cancelled: 40, live: 0 });
});

test("what ended while no scheduler was there is settled and told by the next", async () => {
  const receiver = await sink(answering(() => 200));
  const jobs = [await endedJob(receiver.url), await endedJob(receiver.url)];
  expect(await readJobCounters(redis, "default")).toMatchObject({ accepted: 2, live: 2 });
  scheduler();
  await Promise.all(jobs.map((job) => webhookEnd(job)));
  await until(async () => (await readJobCounters(redis, "default")).cancelled === 2);
});

test("a scheduler that drains hands back what its receivers hold up, and the next one delivers it", async () => {
  const receiver = await sink((response, number) => void (number === 1 || response.writeHead(200).end()));
  const first = scheduler({ QUERN_DRAIN_GRACE_SECONDS: "0" });
  const job = await endedJob(receiver.url);
  await receiver.count(1);
  first.stop.abort();
  await first.ended;
  expect((await readJob(redis, job.id))?.webhook).toMatchObject({ status: "pending", attempts: 0 });
  scheduler();
  expect(await webhookEnd(job)).toMatchObject({ status: "delivered", attempts: 1 });
  const ids = (await receiver.count(2)).map(({ headers }) => headers["webhook-id"]);
  expect(ids[0]).toBe(ids[1]);
});

test("the lock on sweeping passes on as soon as its holder stops", async () => {
  const first = scheduler();
  await until(() => redis.get("quern:sweeper"));
  const held = await redis.get("quern:sweeper");
  scheduler();
  first.stop.abort();
  await first.ended;
  const next = await until(() => redis.get("quern:sweeper"));
  expect(next).not.toBe(held);
});

test("deliveries and sweeping go on when Redis is back", async () => {
  const [dataDir, port] = [await mkdtemp(join(tmpdir(), "quern-scheduler-")), await freePort()];
  const receiver = await sink(answering((number) => (number === 1 ? 500 : 200)));
  const restarting = await startRedis({ kind: "process", port, dataDir });
  const client = connectRedis(restarting.url, "work", () => {});
  const env = {
    REDIS_URL: restarting.url,
    QUERN_WEBHOOK_RETRY_SECONDS: "0,1,1",
    QUERN_DRAIN_GRACE_SECONDS: "0",
  };
  const one = scheduler(env);
  const retried = await endedJob(receiver.url, null, client);
  await receiver.count(1);
  await until(async () => (await readJob(client, retried.id))?.webhook?.attempts === 1);
  await restarting[Symbol.asyncDispose]();
  const back = await startRedis({ kind: "process", port, dataDir });
  const after = await endedJob(receiver.url, null, client);
  for (const job of [retried, after])
    expect(await webhookEnd(job, client)).toMatchObject({ status: "delivered" });
  await until(async () => (await readJobCounters(client, "default")).cancelled === 2);
  one.stop.abort();
  await one.ended;
  client.disconnect();
  await back[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true });
});

test("a scheduler that is stopped ends also when Redis is gone, or was never there", async () => {
  const away = await startRedis();
  const env = { REDIS_URL: away.url, QUERN_DRAIN_GRACE_SECONDS: "0" };
  const before = scheduler(env);
  const client = connectRedis(away.url, "request", () => {});
  await until(() => client.get("quern:sweeper").catch(() => null));
  client.disconnect();
  await away[Symbol.asyncDispose]();
  const after = scheduler(env);
  for (const { stop } of [before, after]) stop.abort();
  await Promise.all([before.ended, after.ended]);
});
