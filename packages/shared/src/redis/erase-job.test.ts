import { once } from "node:events";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEADLINES_KEY, eventsKey, jobIndexKey, jobKey } from "../contract/names.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import { connectRedis } from "./connect.ts";
import { expireQueuedJob, indexDeadline } from "./deadlines.ts";
import { eraseJob } from "./erase-job.ts";
import { parseAnnouncement } from "./event-stream.ts";
import { listJobs } from "./job-list.ts";
import {
  appendEvents,
  cancelJob,
  claimJob,
  commitJob,
  confirmJob,
  createJob,
  handBackJob,
  type JobEnd,
  readJob,
  readJobState,
} from "./job-store.ts";
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

const SECRET = "nobody may read this";
const said: TokenEvent = { type: "delta", data: { text: SECRET } };
const end: TokenEvent = { type: "end", data: { status: "completed", usage: null, finish_reason: null } };

async function accepted(changes: Parameters<typeof newJob>[0] = {}) {
  const job = newJob({ metadata: { secret: SECRET }, ...changes });
  await createJob(redis, job);
  await indexDeadline(redis, job);
  await confirmJob(redis, job);
  return { idempotencyKeyHash: null, ...job, deadlineAtMs: job.deadlineAtMs ?? null };
}

async function running() {
  const job = await accepted();
  await claimJob(redis, job.id, 2_000);
  await appendEvents(redis, { jobId: job.id, epoch: 1 }, [{ seq: 2, event: said }], 3_000);
  return job;
}

/** All that Redis holds, as text. */
async function everything(): Promise<string> {
  const texts: unknown[] = [];
  for (const key of await redis.keys("*")) {
    const type = await redis.type(key);
    if (type === "hash") texts.push(await redis.hgetall(key));
    if (type === "stream") texts.push(await redis.xrange(key, "-", "+"));
    if (type === "zset") texts.push(await redis.zrange(key, "0", "-1"));
    if (type === "string") texts.push(await redis.get(key));
  }
  return JSON.stringify(texts);
}

const committed: JobEnd = {
  state: "completed",
  usage: null,
  result: null,
  error: null,
  events: [{ seq: 3, event: end }],
  retentionSeconds: 60,
};

test("an ended job, a running and a queued one leave no text, no place in any list, and soon no key", async () => {
  const ended = await running();
  await commitJob(redis, { jobId: ended.id, epoch: 1 }, committed, 4_000);
  const jobs = [ended, await running(), await accepted({ deadlineAtMs: 9e12 })];
  expect(await everything()).toContain(SECRET);
  expect(await Promise.all(jobs.map((job) => eraseJob(redis, job)))).toEqual([
    "completed",
    "running",
    "queued",
  ]);
  expect(await everything()).not.toContain(SECRET);
  for (const { id, tenant } of jobs) {
    expect(await readJob(redis, id)).toBeNull();
    expect(await readJobState(redis, id)).toBeNull();
    expect(await redis.exists(eventsKey(id))).toBe(0);
    expect(await redis.ttl(jobKey(id))).toBeGreaterThan(0);
    expect(await redis.zscore(jobIndexKey(tenant), id)).toBeNull();
    expect(await redis.zscore(DEADLINES_KEY, id)).toBeNull();
  }
  const query = { tenant: "default", limit: 10, order: "asc", after: null, matches: () => true } as const;
  expect((await listJobs(redis, query)).records).toEqual([]);
});

test("nothing brings an erased job back, whoever comes late", async () => {
  const job = await running();
  await eraseJob(redis, job);
  const attempt = { jobId: job.id, epoch: 1 };
  expect(await appendEvents(redis, attempt, [{ seq: 3, event: said }], 5_000)).toBe("fenced");
  expect(await handBackJob(redis, attempt, handBack, 5_000)).toEqual({
    handedBack: false,
  });
  expect(await commitJob(redis, attempt, committed, 5_000)).toBe("gone");
  expect(await cancelJob(redis, job.id, { retentionSeconds: 60 }, 5_000)).toBe("gone");
  expect(await expireQueuedJob(redis, job.id, { retentionSeconds: 60 })).toEqual({ kind: "gone" });
  expect(await claimJob(redis, job.id, 5_000)).toEqual({ kind: "gone" });
  expect(await createJob(redis, job)).toEqual({ created: false });
  await confirmJob(redis, job);
  expect(await eraseJob(redis, job)).toBe("gone");
  expect(await readJob(redis, job.id)).toBeNull();
  expect(await redis.exists(eventsKey(job.id))).toBe(0);
  expect(await redis.ttl(jobKey(job.id))).toBeGreaterThan(0);
});

test("who follows the job hears an end behind the last event; an ended job has had its end", async () => {
  const subscriber = connectRedis(server.url, "subscribe", () => {});
  try {
    const [job, other] = [await running(), await running()];
    await commitJob(redis, { jobId: other.id, epoch: 1 }, committed, 4_000);
    await subscriber.subscribe(eventsKey(job.id), eventsKey(other.id));
    const heard = once(subscriber, "message");
    await eraseJob(redis, other);
    await eraseJob(redis, job);
    const [channel, message] = (await heard) as [string, string];
    expect(channel).toBe(eventsKey(job.id));
    expect(parseAnnouncement(message)).toMatchObject({
      id: "1-3",
      event: { type: "end", data: { status: "cancelled" } },
    });
  } finally {
    subscriber.disconnect();
  }
});
