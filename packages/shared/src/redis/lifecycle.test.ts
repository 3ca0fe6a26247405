import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobRecord } from "../contract/job.ts";
import {
  JOB_STATES,
  type JobEvent,
  type JobState,
  LIFECYCLE,
  type TerminalState,
} from "../contract/lifecycle.ts";
import { jobKey } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { expireQueuedJob } from "./deadlines.ts";
import { readEvents } from "./event-stream.ts";
import { cancelJob, claimJob, commitJob, createJob, handBackJob, readJob } from "./job-store.ts";
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

async function end(id: string, epoch: number, state: TerminalState): Promise<string> {
  const event = { type: "end", data: { status: state, usage: null, finish_reason: null } } as const;
  const nothing = { usage: null, result: null, error: null, retentionSeconds: 60 };
  return commitJob(redis, { jobId: id, epoch }, { state, ...nothing, events: [{ seq: 2, event }] }, 9_000);
}

/** A job in that state, with the epoch of the attempt it had last. */
const ARRANGE: Record<JobState, (id: string) => Promise<number>> = {
  // Queued again: the attempt that was handed back is the stale one that may still speak.
  queued: async (id) => {
    await claimJob(redis, id, 2_000);
    await handBackJob(redis, { jobId: id, epoch: 1 }, handBack, 3_000);
    return 1;
  },
  running: async (id) => {
    await claimJob(redis, id, 2_000);
    return 1;
  },
  completed: (id) => endedAs(id, "completed"),
  failed: (id) => endedAs(id, "failed"),
  cancelled: (id) => endedAs(id, "cancelled"),
  expired: (id) => endedAs(id, "expired"),
};

async function endedAs(id: string, state: TerminalState): Promise<number> {
  await claimJob(redis, id, 2_000);
  expect(await end(id, 1, state)).toBe("committed");
  return 1;
}

const ACT: Record<JobEvent, (id: string, epoch: number) => Promise<unknown>> = {
  claim: (id) => claimJob(redis, id, 5_000),
  hand_back: (id, epoch) =>
    handBackJob(redis, { jobId: id, epoch }, { ...handBack, because: "crashed" }, 5_000),
  complete: (id, epoch) => end(id, epoch, "completed"),
  fail: (id, epoch) => end(id, epoch, "failed"),
  cancel: (id) => cancelJob(redis, id, { retentionSeconds: 60 }, 5_000),
  expire: (id) => expireQueuedJob(redis, id, { retentionSeconds: 60 }),
};

const cells = JOB_STATES.flatMap((state) =>
  (Object.keys(ACT) as JobEvent[]).map((event) => ({ state, event, outcome: LIFECYCLE[state][event] })),
);

test.each(cells)("$state, $event: $outcome", async ({ state, event, outcome }) => {
  const job = newJob();
  await createJob(redis, job);
  const epoch = await ARRANGE[state](job.id);
  // Only now: a job that is overdue before is not claimed.
  if (event === "expire") await redis.hset(jobKey(job.id), "deadlineAtMs", 1);
  const before = await snapshot(job.id);
  expect(before.record.state).toBe(state);

  await ACT[event](job.id, epoch);

  const after = await snapshot(job.id);
  if (outcome === "ignore") expect(after).toEqual(before);
  else if (outcome === "ask_worker") {
    // A cancel leaves word; of a deadline the worker knows since its claim.
    const cancelRequested = event === "cancel";
    expect(after).toEqual({ ...before, record: { ...before.record, cancelRequested } });
  } else if (outcome === "impossible") throw new Error("no cell of these events is impossible");
  else expect(after.record.state).toBe(outcome.to);
});

async function snapshot(id: string): Promise<{ record: JobRecord; events: unknown[]; expires: boolean }> {
  const record = await readJob(redis, id);
  if (record === null) throw new Error("the job is gone");
  const expires = (await redis.ttl(`quern:job:{${id}}`)) > 0;
  return { record, events: await readEvents(redis, id, null), expires };
}

test("no command knows a job that is not there", async () => {
  const { id } = newJob();
  expect(await ACT.claim(id, 1)).toEqual({ kind: "gone" });
  expect(await ACT.hand_back(id, 1)).toEqual({ handedBack: false });
  expect(await ACT.complete(id, 1)).toBe("gone");
  expect(await ACT.cancel(id, 1)).toBe("gone");
  expect(await ACT.expire(id, 1)).toEqual({ kind: "gone" });
  expect(await redis.keys(`*${id}*`)).toEqual([]);
});
