import { connectRedis } from "@quern/shared/redis/connect";
import { claimJob, createJob, handBackJob } from "@quern/shared/redis/job-store";
import { handBack, newJob } from "@quern/shared/redis/new-job.fixture";
import { until } from "@quern/testing/cluster";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { LeaseQueue } from "./lease-queue.ts";
import { SuspectDuty } from "./suspect-duty.ts";
import { SuspectQueue } from "./suspect-queue.ts";

const MODEL = "m";

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

/** A worker all of whose slots are busy, and what its duty makes of it. */
function busyWorker(workerId: string, suspects: SuspectQueue) {
  const acts: string[] = [];
  const stop = new AbortController();
  const duty = new SuspectDuty({
    redis,
    suspects,
    model: MODEL,
    workerId,
    patienceMs: 0,
    isBusy: () => true,
    clear: () => acts.push("clear"),
    reopen: () => acts.push("reopen"),
    onError: (error) => acts.push(error.message),
  });
  const ended = duty.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  return acts;
}

test("of the busy workers one makes room, and goes on when the suspect is gone", async () => {
  const suspects = new SuspectQueue(redis, MODEL, () => {});
  onTestFinished(() => suspects.close());
  const job = newJob();
  await createJob(redis, job);
  await claimJob(redis, job.id, 1_000);
  await handBackJob(
    redis,
    { jobId: job.id, epoch: 1 },
    { ...handBack, because: "crashed", makesSuspect: true },
    2_000,
  );
  await suspects.add(job.id);
  expect(await suspects.waitedMs()).toBeLessThan(60_000);

  const [one, other] = [busyWorker("one", suspects), busyWorker("other", suspects)];
  const onDuty = await until(async () => [one, other].find((acts) => acts.includes("clear")));
  const idle = onDuty === one ? other : one;

  const queue = new LeaseQueue({ redis, model: MODEL, name: "suspects", leaseMs: 30_000, onError: () => {} });
  onTestFinished(() => queue[Symbol.asyncDispose]());
  await queue.start();
  const lease = await queue.take();
  expect(lease?.jobId).toBe(job.id);
  expect(await suspects.waitedMs()).toBeNull();
  await until(async () => onDuty.includes("reopen"));
  expect(new Set(onDuty)).toEqual(new Set(["clear", "reopen"]));
  expect(idle).toEqual([]);
  await lease?.end();
});
