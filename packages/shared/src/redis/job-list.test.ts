import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { JobState } from "../contract/lifecycle.ts";
import { jobIndexKey, jobKey } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { type JobListQuery, listJobs } from "./job-list.ts";
import { cancelJob, confirmJob, createJob, readJob } from "./job-store.ts";
import { newJob } from "./new-job.fixture.ts";

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

/** Submits `count` jobs; their ids, oldest first. */
async function submit(count: number, changes: Parameters<typeof newJob>[0] = {}): Promise<string[]> {
  const jobs = Array.from({ length: count }, () => newJob(changes));
  await Promise.all(jobs.map((job) => createJob(redis, job)));
  await Promise.all(jobs.map((job) => confirmJob(redis, job)));
  return jobs.map(({ id }) => id).sort();
}

async function page(changes: Partial<JobListQuery> = {}): Promise<{ ids: string[]; hasMore: boolean }> {
  const { ids, hasMore } = await pageWithCursor(changes);
  return { ids, hasMore };
}

async function pageWithCursor(
  changes: Partial<JobListQuery> = {},
): Promise<{ ids: string[]; hasMore: boolean; lastId: string | null }> {
  const query: JobListQuery = {
    tenant: "default",
    limit: 20,
    order: "desc",
    after: null,
    matches: () => true,
  };
  const { records, hasMore, lastId } = await listJobs(redis, { ...query, ...changes });
  return { ids: records.map(({ id }) => id), hasMore, lastId };
}

/** Lists `count` jobs as it is done for confirmed ones, each with the traits alone; their ids, oldest first. */
async function listMany(count: number, state: JobState): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newJob().id).sort();
  for (let at = 0; at < count; at += 1_000) {
    const some = ids.slice(at, at + 1_000);
    const pipeline = redis.pipeline();
    for (const id of some) pipeline.hset(jobKey(id), "state", state, "model", "tiny-qwen3");
    pipeline.zadd(jobIndexKey("default"), ...some.flatMap((id) => [0, id]));
    await pipeline.exec();
  }
  return ids;
}

async function recordsReadSince(begin: () => Promise<unknown>): Promise<number> {
  await redis.config("RESETSTAT");
  await begin();
  return Number(/cmdstat_hmget:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
}

test("a tenant without jobs has an empty page", async () => {
  expect(await page()).toEqual({ ids: [], hasMore: false });
});

test.each(["asc", "desc"] as const)(
  "pages follow on each other and meet every job once, %s",
  async (order) => {
    const ids = await submit(25);
    if (order === "desc") ids.reverse();
    const met: string[] = [];
    for (const [expected, more] of [
      [10, true],
      [10, true],
      [5, false],
    ] as const) {
      const { ids: some, hasMore } = await page({ order, limit: 10, after: met.at(-1) ?? null });
      expect(some).toHaveLength(expected);
      expect(hasMore).toBe(more);
      met.push(...some);
    }
    expect(met).toEqual(ids);
    expect(await page({ order, after: met.at(-1) ?? null })).toEqual({ ids: [], hasMore: false });
  },
);

test("a page that is full to the last job says that there is no more", async () => {
  const ids = await submit(10);
  expect(await page({ limit: 10, order: "asc" })).toEqual({ ids, hasMore: false });
});

test("ids sort by creation also across milliseconds, and a new job comes first", async () => {
  const [older] = await submit(1);
  await expect.poll(() => newJob().id.slice(0, 17)).not.toBe(older?.slice(0, 17));
  const [newer] = await submit(1);
  expect((await page()).ids).toEqual([newer, older]);
});

test("a filter looks on through more ids than one round trip reads", async () => {
  const [wanted] = await submit(1, { model: "rare" });
  await submit(1_100);
  expect(await page({ matches: ({ model }) => model === "rare", limit: 1 })).toEqual({
    ids: [wanted],
    hasMore: false,
  });
  const [second] = await submit(1, { model: "rare" });
  expect(await page({ matches: ({ model }) => model === "rare", limit: 1 })).toEqual({
    ids: [second],
    hasMore: true,
  });
});

test("a filter that matches hardly anything reads a bounded number of records a request, and its cursor goes on", async () => {
  const [oldest = ""] = await submit(1, { model: "rare" });
  await listMany(25_000, "completed");
  const [newest = ""] = await submit(1, { model: "rare" });
  const met: string[] = [];
  let requests = 0;
  let after: string | null = null;
  for (let hasMore = true; hasMore; requests += 1) {
    const read = await recordsReadSince(async () => {
      const found = await pageWithCursor({ matches: ({ model }) => model === "rare", after });
      met.push(...found.ids);
      hasMore = found.hasMore;
      after = found.lastId;
    });
    // And those of the page itself.
    expect(read).toBeLessThanOrEqual(10_000 + 20);
  }
  expect(met).toEqual([newest, oldest]);
  expect(requests).toBe(3);
});

test("a full page goes on after its last job, however far the look for one more went", async () => {
  const [oldest = ""] = await submit(1, { model: "rare" });
  await listMany(12_000, "completed");
  const [newest = ""] = await submit(1, { model: "rare" });
  const rare = { matches: ({ model }: { model: string }) => model === "rare", limit: 1 };
  const first = await pageWithCursor(rare);
  expect(first).toMatchObject({ ids: [newest], hasMore: true });
  expect(await pageWithCursor({ ...rare, after: first.lastId })).toEqual({
    ids: [oldest],
    hasMore: false,
    lastId: oldest,
  });
  expect(await page({ ...rare, after: newest })).toEqual({ ids: [], hasMore: true });
});

test("jobs that lapsed drop out of the list and of its index", async () => {
  const ids = await submit(6);
  await redis.del(...ids.slice(1, 4).map(jobKey));
  const left = [ids[0], ids[4], ids[5]];
  expect(await page({ order: "asc" })).toEqual({ ids: left, hasMore: false });
  expect(await redis.zrange(jobIndexKey("default"), "0", "-1")).toEqual(left);
});

test("jobs are listed while Redis refuses writes, without those that lapsed", async () => {
  const ids = await submit(3);
  await redis.del(jobKey(ids[1] ?? ""));
  await redis.config("SET", "min-replicas-to-write", "1");
  try {
    expect((await page({ order: "asc" })).ids).toEqual([ids[0], ids[2]]);
  } finally {
    await redis.config("SET", "min-replicas-to-write", "0");
  }
});

test("another tenant's jobs and unconfirmed ones are not listed", async () => {
  const [ours] = await submit(1);
  await submit(3, { tenant: "another" });
  await createJob(redis, newJob());
  expect((await page()).ids).toEqual([ours]);
});

test("a page may begin after a job that is gone", async () => {
  const ids = await submit(4);
  await redis.del(jobKey(ids[1] ?? ""));
  await page();
  expect((await page({ order: "asc", after: ids[1] ?? "" })).ids).toEqual(ids.slice(2));
});

test("a listed job is its record without the request", async () => {
  const [id = ""] = await submit(1, { metadata: { order: "7" } });
  await cancelJob(redis, id, { retentionSeconds: 60 }, 2_000);
  const record = await readJob(redis, id);
  if (record === null) throw new Error("the job is gone");
  const { request: _, ...summary } = record;
  expect(
    (await listJobs(redis, { tenant: "default", limit: 1, order: "asc", after: null, matches: () => true }))
      .records,
  ).toEqual([summary]);
});
