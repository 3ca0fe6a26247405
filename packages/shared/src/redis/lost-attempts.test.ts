import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobRecord } from "../contract/job.ts";
import { eventsKey } from "../contract/names.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import { connectRedis } from "./connect.ts";
import { appendEvents, type Claim, claimJob, createJob, handBackJob, readJob } from "./job-store.ts";
import { handBack, newJob } from "./new-job.fixture.ts";

// A worker that vanishes was killed from outside: what is lost with it counts apart from crashes, and only in a row.

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

const word: TokenEvent = { type: "delta", data: { text: "One" } };

async function newJobId(): Promise<string> {
  const job = newJob();
  await createJob(redis, job);
  return job.id;
}

/** A worker of its own takes the job, over from the one before. */
let workers = 0;
function take(jobId: string, company: "shared" | "alone" = "shared"): Promise<Claim> {
  workers += 1;
  return claimJob(redis, jobId, 2_000, { company, workerId: `worker ${workers}` });
}

async function taken(jobId: string, company: "shared" | "alone" = "shared"): Promise<JobRecord> {
  const claim = await take(jobId, company);
  if (claim.kind !== "claimed") throw new Error(`the claim said ${claim.kind}`);
  return claim.record;
}

async function say(jobId: string, ...events: TokenEvent[]): Promise<void> {
  const record = await readJob(redis, jobId);
  const length = await redis.xlen(eventsKey(jobId));
  const attempt = { jobId, epoch: record?.attempt ?? 0 };
  const numbered = events.map((event, at) => ({ seq: length + 1 + at, event }));
  expect(await appendEvents(redis, attempt, numbered, 3_000)).toBe("ok");
}

test("the second loss in a row makes a suspect, and none of them is a crash", async () => {
  const jobId = await newJobId();
  await taken(jobId);
  expect(await taken(jobId)).toMatchObject({ lostAttempts: 1, kills: 1, suspectSinceMs: null });
  expect(await take(jobId)).toEqual({ kind: "suspect" });
  for (const kills of [2, 3, 4, 5]) {
    const record = await taken(jobId, "alone");
    expect(record).toMatchObject({ crashes: 0, lostAttempts: kills, kills });
    expect(record.suspectSinceMs).not.toBeNull();
  }
});

test("a job that got further before each loss is no suspect, however often it is lost", async () => {
  const jobId = await newJobId();
  await taken(jobId);
  for (const lost of [1, 2, 3, 4]) {
    await say(jobId, word);
    expect(await taken(jobId)).toMatchObject({ lostAttempts: lost, kills: 0, suspectSinceMs: null });
  }
});

test("a job that only began anew did not get further", async () => {
  const jobId = await newJobId();
  await taken(jobId);
  await say(jobId, word);
  const { attempt } = await taken(jobId);
  await say(jobId, { type: "restart", data: { attempt } }, word);
  expect(await taken(jobId)).toMatchObject({ kills: 1 });
});

test("kills of engines and of workers make one row, which ends when the job gets further", async () => {
  const jobId = await newJobId();
  await taken(jobId);
  await handBackJob(redis, { jobId, epoch: 1 }, { ...handBack, because: "killed" }, 3_000);
  expect(await taken(jobId)).toMatchObject({ kills: 1, crashes: 0 });
  await handBackJob(redis, { jobId, epoch: 2 }, { ...handBack, because: "killed_further" }, 4_000);
  expect(await taken(jobId)).toMatchObject({ kills: 0 });
});
