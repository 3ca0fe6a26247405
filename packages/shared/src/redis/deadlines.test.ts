import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { NewJob } from "../contract/job.ts";
import { DEADLINES_KEY, jobKey } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { dropDeadline, expireDueJobs, expireQueuedJob, indexDeadline, redisNowMs } from "./deadlines.ts";
import { readEvents } from "./event-stream.ts";
import { claimJob, commitJob, confirmJob, createJob, handBackJob, readJob } from "./job-store.ts";
import { handBack, newJob } from "./new-job.fixture.ts";

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

const KEPT = { retentionSeconds: 60 };
const HOUR_MS = 3_600_000;
/** A process whose clock is wrong by five minutes, either way. */
const SKEWS_MS = [-300_000, 300_000];

async function accepted(deadlineInMs: number, changes: Partial<NewJob> = {}): Promise<NewJob> {
  const job = newJob({ deadlineAtMs: (await redisNowMs(redis)) + deadlineInMs, ...changes });
  await createJob(redis, job);
  await indexDeadline(redis, job);
  await confirmJob(redis, job);
  return job;
}

const stateOf = async (id: string) => (await readJob(redis, id))?.state;
const indexed = () => redis.zrange(DEADLINES_KEY, "0", "-1");

test("a queued job that is due ends with no worker at all: one end event, no attempt, kept for a while", async () => {
  const due = await accepted(-1, { tenant: "t1", model: "m1", class: "batch" });
  const later = await accepted(HOUR_MS);
  const swept = await expireDueJobs(redis, KEPT);
  expect(swept).toEqual({
    expired: [{ id: due.id, tenant: "t1", model: "m1", class: "batch" }],
    hasMore: false,
  });
  const record = await readJob(redis, due.id);
  expect(record).toMatchObject({ state: "expired", attempt: 0, startedAtMs: null, result: null });
  expect(record?.endedAtMs).toBeGreaterThanOrEqual(due.deadlineAtMs ?? Number.NaN);
  const data = { status: "expired", usage: null, finish_reason: null };
  expect(await readEvents(redis, due.id, null)).toEqual([{ id: "0-1", event: { type: "end", data } }]);
  expect(await redis.ttl(jobKey(due.id))).toBeGreaterThan(0);
  expect(await stateOf(later.id)).toBe("queued");
  expect(await indexed()).toEqual([later.id]);
  expect(await expireDueJobs(redis, KEPT)).toEqual({ expired: [], hasMore: false });
});

test("a claim does not begin a job that is overdue, whatever the claimer's clock says", async () => {
  for (const skewMs of SKEWS_MS) {
    const overdue = await accepted(-1);
    expect(await claimJob(redis, overdue.id, Date.now() + skewMs)).toEqual({ kind: "overdue" });
    expect(await readJob(redis, overdue.id)).toMatchObject({ state: "queued", attempt: 0 });
    expect(await readEvents(redis, overdue.id, null)).toEqual([]);

    const inTime = await accepted(60_000);
    const claim = await claimJob(redis, inTime.id, Date.now() + skewMs);
    expect(claim).toMatchObject({ kind: "claimed", record: { deadlineAtMs: inTime.deadlineAtMs } });
    const claimedAtMs = claim.kind === "claimed" ? (claim.record.claimedAtMs ?? 0) : 0;
    expect(Math.abs(claimedAtMs - (await redisNowMs(redis)))).toBeLessThan(60_000);
  }
});

test("a running job is its worker's to stop: a takeover is told to, a hand-back expires in the queue", async () => {
  const job = await accepted(HOUR_MS);
  await claimJob(redis, job.id, 2_000);
  await redis.hset(jobKey(job.id), "deadlineAtMs", 1);
  await redis.zadd(DEADLINES_KEY, 1, job.id);
  expect(await expireDueJobs(redis, KEPT)).toMatchObject({ expired: [] });
  // It stands aside for a while, so that those behind it are reached.
  expect(Number(await redis.zscore(DEADLINES_KEY, job.id))).toBeGreaterThan(await redisNowMs(redis));
  expect(await claimJob(redis, job.id, 3_000)).toMatchObject({ kind: "claimed", record: { attempt: 2 } });

  await handBackJob(redis, { jobId: job.id, epoch: 2 }, handBack, 4_000);
  expect(await claimJob(redis, job.id, 5_000)).toEqual({ kind: "overdue" });
  await redis.zadd(DEADLINES_KEY, 1, job.id);
  expect((await expireDueJobs(redis, KEPT)).expired.map(({ id }) => id)).toEqual([job.id]);
  const events = await readEvents(redis, job.id, null);
  expect(events.filter(({ event }) => event.type === "end")).toHaveLength(1);
  expect(events.at(-1)?.id).toMatch(/^2-/);
});

test("nothing is ended before its time, twice, or without a deadline", async () => {
  const early = await accepted(HOUR_MS);
  expect(await expireQueuedJob(redis, early.id, KEPT)).toEqual({ kind: "early" });
  const without = newJob();
  await createJob(redis, without);
  await indexDeadline(redis, without);
  expect(await expireQueuedJob(redis, without.id, KEPT)).toEqual({ kind: "early" });
  const due = await accepted(-1);
  expect(await expireQueuedJob(redis, due.id, KEPT)).toMatchObject({ kind: "expired" });
  expect(await expireQueuedJob(redis, due.id, KEPT)).toEqual({ kind: "ended" });
  expect(await readEvents(redis, due.id, null)).toHaveLength(1);
});

test("entries of jobs that ended or are gone drop out, when they end or when they are due", async () => {
  const [dropped, forgotten, lapsed] = [await accepted(HOUR_MS), await accepted(200_000), await accepted(-1)];
  for (const { id } of [dropped, forgotten]) {
    await claimJob(redis, id, 2_000);
    const nothing = { usage: null, result: null, error: null, events: [], ...KEPT };
    await commitJob(redis, { jobId: id, epoch: 1 }, { state: "completed", ...nothing }, 3_000);
  }
  await dropDeadline(redis, dropped);
  await redis.del(jobKey(lapsed.id));
  await redis.zadd(DEADLINES_KEY, 1, forgotten.id);
  expect((await indexed()).sort()).toEqual([forgotten.id, lapsed.id].sort());
  expect(await expireDueJobs(redis, KEPT)).toEqual({ expired: [], hasMore: false });
  expect(await indexed()).toEqual([]);
  expect(await stateOf(forgotten.id)).toBe("completed");
});

test("many that are due at once are ended page by page, each once", async () => {
  const ids = new Set<string>();
  for (let i = 0; i < 450; i++) ids.add((await accepted(-1)).id);
  const pages: number[] = [];
  for (let more = true; more; ) {
    const { expired, hasMore } = await expireDueJobs(redis, KEPT);
    pages.push(expired.length);
    for (const { id } of expired) expect(ids.delete(id)).toBe(true);
    more = hasMore;
  }
  expect(pages).toEqual([200, 200, 50]);
  expect(ids.size).toBe(0);
});

test("two sweepers and a worker meet over one job: one of them ends it", async () => {
  const job = await accepted(-1);
  const ends = await Promise.all([
    expireDueJobs(redis, KEPT),
    expireDueJobs(redis, KEPT),
    expireQueuedJob(redis, job.id, KEPT),
  ]);
  const [first, second, third] = ends;
  expect(first.expired.length + second.expired.length + (third.kind === "expired" ? 1 : 0)).toBe(1);
  expect(await readEvents(redis, job.id, null)).toHaveLength(1);
});
