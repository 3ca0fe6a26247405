import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventsKey, jobKey } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { expireQueuedJob } from "./deadlines.ts";
import { cancelJob, claimJob, commitJob, createJob, readJob } from "./job-store.ts";
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

type Ends = (id: string) => Promise<unknown>;
const ends: Record<string, Ends> = {
  cancel: (id) => cancelJob(redis, id, { retentionSeconds: 60 }, 10_000),
  expire: (id) => expireQueuedJob(redis, id, { retentionSeconds: 60 }),
  commit: async (id) => {
    await claimJob(redis, id, 9_000);
    const nothing = { usage: null, result: null, error: null, retentionSeconds: 60 };
    const end = { type: "end", data: { status: "completed", usage: null, finish_reason: null } } as const;
    const events = [{ seq: 2, event: end }];
    await commitJob(redis, { jobId: id, epoch: 1 }, { state: "completed", ...nothing, events }, 10_000);
  },
};

async function keptFor(end: Ends, wishes: object) {
  const job = newJob({ ...wishes, ...(end === ends.expire ? { deadlineAtMs: 1 } : {}) });
  await createJob(redis, job);
  await end(job.id);
  const record = await readJob(redis, job.id);
  return {
    recordSeconds: await redis.ttl(jobKey(job.id)),
    eventsSeconds: await redis.ttl(eventsKey(job.id)),
    toldSeconds: ((record?.expiresAtMs ?? 0) - (record?.endedAtMs ?? 0)) / 1_000,
  };
}

test.each(Object.entries(ends))(
  "a job that ended by %s is kept as its record says, and says until when",
  async (_, end) => {
    expect(await keptFor(end, { retentionSeconds: 5_000, eventsRetentionSeconds: 2_000 })).toEqual({
      recordSeconds: 5_000,
      eventsSeconds: 2_000,
      toldSeconds: 5_000,
    });
    expect(await keptFor(end, {})).toEqual({ recordSeconds: 60, eventsSeconds: 60, toldSeconds: 60 });
    // Events that nobody could find any more are not kept.
    expect(await keptFor(end, { retentionSeconds: 100, eventsRetentionSeconds: 200 })).toMatchObject({
      eventsSeconds: 100,
    });
  },
);

test("a job that has not ended does not say when it goes", async () => {
  const job = newJob({ retentionSeconds: 100 });
  await createJob(redis, job);
  expect((await readJob(redis, job.id))?.expiresAtMs).toBeNull();
});
