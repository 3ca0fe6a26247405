import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jobKey, webhookKey } from "../contract/names.ts";
import { pendingWebhook } from "../contract/webhook.ts";
import { toJobObject } from "../openai/job-object.ts";
import { connectRedis } from "./connect.ts";
import { eraseJob } from "./erase-job.ts";
import { claimJob, confirmJob, createJob, readJob } from "./job-store.ts";
import { newJob } from "./new-job.fixture.ts";
import { dropDelivery, readDelivery, recordWebhook, storeDelivery } from "./webhook-store.ts";

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

const url = "https://example.com/hook";
const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;

test("the secret stands apart from the record, and expires with a job that nobody confirmed", async () => {
  const job = newJob({ webhook: { url, secret } });
  await createJob(redis, job);
  expect(JSON.stringify(await redis.hgetall(jobKey(job.id)))).not.toContain("whsec_");
  const ttls = () => Promise.all([redis.ttl(jobKey(job.id)), redis.ttl(webhookKey(job.id))]);
  for (const ttl of await ttls()) expect(ttl).toBeGreaterThan(0);

  await confirmJob(redis, job);
  expect(await ttls()).toEqual([-1, -1]);
  // Submitted once more under its key: the accepted job's secret stays.
  await createJob(redis, { ...job, webhook: { url, secret: "another" } });
  expect(await ttls()).toEqual([-1, -1]);

  expect(await readDelivery(redis, job.id)).toBeNull();
  await storeDelivery(redis, job.id, "told");
  expect(await readDelivery(redis, job.id)).toEqual({ body: "told", secret });
  expect(await redis.ttl(webhookKey(job.id))).toBeGreaterThan(86_400);
  await dropDelivery(redis, job.id);
  expect(await readDelivery(redis, job.id)).toBeNull();
});

test("a worker's claim keeps the secret of a job that nobody confirmed", async () => {
  const job = newJob({ webhook: { url, secret } });
  await createJob(redis, job);
  expect((await claimJob(redis, job.id, 2_000)).kind).toBe("claimed");
  expect(await redis.ttl(jobKey(job.id))).toBe(-1);
  expect(await redis.ttl(webhookKey(job.id))).toBe(-1);
});

test("nothing of a webhook is left when its job is erased", async () => {
  const job = newJob({ webhook: { url, secret } });
  await createJob(redis, job);
  await confirmJob(redis, job);
  await storeDelivery(redis, job.id, "told");
  await eraseJob(redis, { ...job, idempotencyKeyHash: null, deadlineAtMs: null });
  expect(await readDelivery(redis, job.id)).toBeNull();
  await recordWebhook(redis, job.id, pendingWebhook(url, "job"));
  expect(await redis.hget(jobKey(job.id), "webhook")).toBeNull();
});

test("how far a webhook is stands in the record, as long as there is one", async () => {
  const job = newJob({ webhook: { url, secret: null } });
  await createJob(redis, job);
  expect((await readJob(redis, job.id))?.webhook).toEqual(pendingWebhook(url, "tenant"));
  const state = {
    ...pendingWebhook(url, "tenant"),
    attempts: 2,
    lastStatusCode: 503,
    lastError: "status 503",
  };
  await recordWebhook(redis, job.id, state);
  const record = await readJob(redis, job.id);
  expect(record === null ? null : toJobObject(record, null).webhook).toEqual({
    url,
    status: "pending",
    attempts: 2,
    last_status_code: 503,
    last_error: "status 503",
  });
  await redis.del(jobKey(job.id));
  await recordWebhook(redis, job.id, state);
  expect(await redis.exists(jobKey(job.id))).toBe(0);

  const without = newJob();
  await createJob(redis, without);
  await recordWebhook(redis, without.id, state);
  expect((await readJob(redis, without.id))?.webhook).toBeNull();
});
