import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batchIndexKey, batchKey, jobIndexKey, jobKey } from "@quern/shared/contract/names";
import { createBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { cancelJob, confirmJob, createJob } from "@quern/shared/redis/job-store";
import { enterLiveJob } from "@quern/shared/redis/live-jobs";
import { newBatch } from "@quern/shared/redis/new-batch.fixture";
import { newJob } from "@quern/shared/redis/new-job.fixture";
import { TimedLock } from "@quern/shared/redis/timed-lock";
import { startProcess, stopProcess, until } from "@quern/testing/cluster";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { IndexTrimmer } from "./index-trimmer.ts";
import { PAGE_IDS, trimPage } from "./trim-page.ts";

const INDEX = jobIndexKey("default");
const index = { indexKey: INDEX, recordKeyOf: jobKey };
/** Without pauses. */
const PACE = { pageMs: 0, busyPageMs: 0, walkMs: 0 };

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
beforeEach(() => redis.flushall());

/** Ids in the list, oldest first; the records of those that `lives` names exist. */
async function fill(count: number, lives: (at: number) => boolean): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newJob().id).sort();
  const pipeline = redis.pipeline();
  for (const [at, id] of ids.entries()) if (lives(at)) pipeline.hset(jobKey(id), "state", "completed");
  pipeline.zadd(INDEX, ...ids.flatMap((id) => [0, id]));
  pipeline.sadd("quern:tenants", "default");
  await pipeline.exec();
  return ids.filter((_, at) => lives(at));
}

const listed = () => redis.zrange(INDEX, "0", "-1");

/** Runs a trimmer until `done`; what it told. */
async function trimUntil(done: () => Promise<boolean>, key = "lock"): Promise<string[]> {
  const told: string[] = [];
  const events = {
    indexTrimmed: (what: string, removed: number) => void told.push(`${what} ${removed}`),
    redisError: (error: Error) => void told.push(error.message),
  };
  const stop = new AbortController();
  const running = new IndexTrimmer(redis, new TimedLock(redis, key, 5_000), events, PACE).run(stop.signal);
  await until(done);
  stop.abort();
  await running;
  return told;
}

test("one page looks at a bounded number of ids and removes those without a record", async () => {
  const kept = await fill(PAGE_IDS + 500, (at) => at % 3 === 0);
  const first = await trimPage(redis, index, null);
  expect(first.removed).toBe(PAGE_IDS - Math.ceil(PAGE_IDS / 3));
  expect(await redis.zcard(INDEX)).toBe(PAGE_IDS + 500 - first.removed);
  const second = await trimPage(redis, index, first.lastId);
  expect(second.lastId).toBeNull();
  expect(await listed()).toEqual(kept);
});

test("expired jobs leave the list wherever they stand in it, and live ones stay", async () => {
  const kept = await fill(5_000, (at) => at % 7 === 0);
  const told = await trimUntil(async () => (await redis.zcard(INDEX)) <= kept.length);
  expect(await listed()).toEqual(kept);
  expect(told).toEqual([`jobs ${5_000 - kept.length}`]);
});

test("a job whose time is over leaves the list, also where others of its age are kept longer", async () => {
  const [short, long] = [newJob({ retentionSeconds: 1 }), newJob({ retentionSeconds: 600 })];
  for (const job of [short, long]) {
    await createJob(redis, job);
    await enterLiveJob(redis, job);
    await confirmJob(redis, job);
    await cancelJob(redis, job.id, { retentionSeconds: 600 }, Date.now());
  }
  await until(async () => (await redis.exists(jobKey(short.id))) === 0);
  await trimUntil(async () => (await redis.zcard(INDEX)) <= 1);
  expect(await listed()).toEqual([long.id]);
});

test("expired batches leave their list, also those of a tenant that never submitted a job", async () => {
  const [over, kept] = [newBatch({ tenant: "t1" }), newBatch({ tenant: "t1" })];
  await createBatch(redis, over);
  await createBatch(redis, kept);
  await redis.del(batchKey(over.id));
  await trimUntil(async () => (await redis.zcard(batchIndexKey("t1"))) <= 1);
  expect(await redis.zrange(batchIndexKey("t1"), "0", "-1")).toEqual([kept.id]);
});

test("a trimmer without the lock leaves the lists alone", async () => {
  await fill(10, () => false);
  await redis.set("taken", "another scheduler");
  await redis.config("RESETSTAT");
  const triesForTheLock = async () =>
    Number(/cmdstat_set:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
  await trimUntil(async () => (await triesForTheLock()) >= 3, "taken");
  expect(await redis.zcard(INDEX)).toBe(10);
});

test("a scheduler trims by itself", async () => {
  const kept = await fill(1_500, (at) => at % 5 === 0);
  const folder = await mkdtemp(join(tmpdir(), "quern-index-trimmer-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const env = { REDIS_URL: server.url, QUERN_FILES: folder, QUERN_LOG_LEVEL: "info" };
  const scheduler = await startProcess("scheduler", env);
  try {
    await until(async () => (await redis.zcard(INDEX)) <= kept.length);
    expect(await listed()).toEqual(kept);
    await until(async () => scheduler.output().includes("ids of expired records removed from a list"));
  } finally {
    await stopProcess(scheduler);
  }
});
