import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Usage } from "../contract/generation.ts";
import type { NewJob } from "../contract/job.ts";
import type { TerminalState } from "../contract/lifecycle.ts";
import { liveJobsKey, SETTLE_CHANNEL, TENANTS_KEY } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { redisNowMs } from "./deadlines.ts";
import { cancelJob, claimJob, createJob, handBackJob } from "./job-store.ts";
import {
  dropLiveJob,
  enterLiveJob,
  parseAsked,
  readJobCounters,
  settleEnded,
  settleJob,
} from "./live-jobs.ts";
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

const usage: Usage = { promptTokens: 30, completionTokens: 4, reasoningTokens: 0, cachedTokens: 0 };
const job = (number: number, tenant = "t1") => ({ id: `job_${number}`, tenant });
const NOTHING = {
  accepted: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  expired: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  live: 0,
};

test("a job is accepted once, and lives since then by Redis' clock", async () => {
  const beganMs = await redisNowMs(redis);
  await enterLiveJob(redis, job(1));
  await enterLiveJob(redis, job(1));
  expect(await readJobCounters(redis, "t1")).toEqual({ ...NOTHING, accepted: 1, live: 1 });
  const acceptedAtMs = Number(await redis.zscore(liveJobsKey("t1"), "job_1"));
  expect(acceptedAtMs).toBeGreaterThanOrEqual(beganMs);
  expect(acceptedAtMs).toBeLessThanOrEqual(await redisNowMs(redis));
  expect(await redis.smembers(TENANTS_KEY)).toEqual(["t1"]);
});

test("each tenant has a ledger of its own", async () => {
  await enterLiveJob(redis, job(1, "t1"));
  await enterLiveJob(redis, job(2, "t2"));
  expect(await settleJob(redis, job(1, "t2"), { state: "failed", usage })).toEqual({ settled: false });
  expect(await readJobCounters(redis, "t1")).toEqual({ ...NOTHING, accepted: 1, live: 1 });
  expect(await readJobCounters(redis, "t2")).toEqual({ ...NOTHING, accepted: 1, live: 1 });
});

test("many that settle one job count it once, in one state", async () => {
  await enterLiveJob(redis, job(1));
  const states: TerminalState[] = ["completed", "failed", "cancelled", "expired", "completed"];
  const replies = await Promise.all(states.map((state) => settleJob(redis, job(1), { state, usage })));
  expect(replies.filter(({ settled }) => settled)).toHaveLength(1);
  expect(await readJobCounters(redis, "t1")).toEqual({
    ...NOTHING,
    accepted: 1,
    completed: 1,
    prompt_tokens: 30,
    completion_tokens: 4,
  });
});

test("a job that is not live is not counted", async () => {
  expect(await settleJob(redis, job(1), { state: "completed", usage })).toEqual({ settled: false });
  expect(await dropLiveJob(redis, job(1))).toEqual({ dropped: false });
  expect(await readJobCounters(redis, "t1")).toEqual(NOTHING);
});

test("a job without a record counts as never accepted, once", async () => {
  await enterLiveJob(redis, job(1));
  await enterLiveJob(redis, job(2));
  const replies = await Promise.all([dropLiveJob(redis, job(1)), dropLiveJob(redis, job(1))]);
  expect(replies.filter(({ dropped }) => dropped)).toHaveLength(1);
  expect(await readJobCounters(redis, "t1")).toEqual({ ...NOTHING, accepted: 1, live: 1 });
});

test("at every moment all accepted jobs are live or counted", async () => {
  const states: TerminalState[] = ["completed", "failed", "cancelled", "expired"];
  const looks: Promise<void>[] = [];
  const look = async () => {
    const counters = await readJobCounters(redis, "t1");
    const { accepted, completed, failed, cancelled, expired, live } = counters;
    expect(completed + failed + cancelled + expired + live).toBe(accepted);
  };
  const lives = Array.from({ length: 200 }, async (_, number) => {
    await enterLiveJob(redis, job(number));
    looks.push(look());
    const end = { state: states[number % 4] as TerminalState, usage: null };
    if (number % 10 === 0) await dropLiveJob(redis, job(number));
    else await Promise.all([settleJob(redis, job(number), end), settleJob(redis, job(number), end)]);
    looks.push(look());
  });
  await Promise.all(lives);
  expect(looks).toHaveLength(400);
  await Promise.all(looks);
  expect(await readJobCounters(redis, "t1")).toMatchObject({ accepted: 180, live: 0 });
});

test("a job that ended in its queue counts with the tokens that it had published", async () => {
  const job = await accepted();
  await settleEnded(redis, job);
  expect(await readJobCounters(redis, "default")).toEqual({ ...NOTHING, accepted: 1, live: 1 });
  await claimJob(redis, job.id, 2_000);
  const progress = { tokens: [1, 2, 3, 4], reasoningTokens: 0, promptTokens: 30 };
  const delta = { type: "delta" as const, data: { text: "One", progress } };
  const said = { because: "parked" as const, events: [{ seq: 2, event: delta }] };
  await handBackJob(redis, { jobId: job.id, epoch: 1 }, said, 3_000);
  await cancelJob(redis, job.id, { retentionSeconds: 60 }, 4_000);
  await settleEnded(redis, job);
  await settleEnded(redis, job);
  expect(await readJobCounters(redis, "default")).toEqual({
    ...NOTHING,
    accepted: 1,
    cancelled: 1,
    prompt_tokens: 30,
    completion_tokens: 4,
  });
});

test("a job with a webhook is left to a scheduler, which is asked", async () => {
  const subscriber = connectRedis(server.url, "subscribe", () => {});
  try {
    const asked = new Promise<string>((resolve) =>
      subscriber.on("message", (_, message) => resolve(message)),
    );
    await subscriber.subscribe(SETTLE_CHANNEL);
    const job = await accepted({ webhook: { url: "https://example.com/hook", secret: null } });
    await cancelJob(redis, job.id, { retentionSeconds: 60 }, 4_000);
    await settleEnded(redis, job);
    expect(parseAsked(await asked)).toEqual({ id: job.id, tenant: "default" });
    expect(await readJobCounters(redis, "default")).toEqual({ ...NOTHING, accepted: 1, live: 1 });
  } finally {
    subscriber.disconnect();
  }
});

async function accepted(changes: Partial<NewJob> = {}): Promise<NewJob> {
  const job = newJob(changes);
  await createJob(redis, job);
  await enterLiveJob(redis, job);
  return job;
}
