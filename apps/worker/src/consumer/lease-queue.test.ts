import { queuePrefix } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { until } from "@quern/testing/cluster";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lease, LeaseQueue } from "./lease-queue.ts";

let server: RedisServer;
let redis: Redis;
let model: string;
let jobs: Queue;
let opened: LeaseQueue[];
let nextModel = 1;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  model = `m${nextModel++}`;
  jobs = new Queue("batch", { connection: redis, prefix: queuePrefix(model) });
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((queue) => queue[Symbol.asyncDispose]()));
  await jobs.close();
});

async function open(leaseMs = 30_000): Promise<LeaseQueue> {
  const queue = new LeaseQueue({ redis, model, name: "batch", leaseMs, onError: () => {} });
  opened.push(queue);
  await queue.start();
  return queue;
}

async function add(jobId: string): Promise<void> {
  await jobs.add("generate", { jobId }, { jobId });
}

async function taken(queue: LeaseQueue): Promise<Lease> {
  const lease = await queue.take();
  if (lease === null) throw new Error("the queue had nothing");
  return lease;
}

/** For some seconds, which is several leases: listening takes up to one each time. */
async function expectNothing(queue: LeaseQueue): Promise<void> {
  for (let times = 1; times <= 5; times++) expect(await queue.listen()).toBeNull();
}

test("jobs come in their order, one lease each; what is handed back is the next one", async () => {
  const queue = await open();
  expect(await queue.take()).toBeNull();
  for (const id of ["a", "b", "c"]) await add(id);
  const first = await taken(queue);
  expect(first.jobId).toBe("a");
  await first.handBack();
  expect((await taken(queue)).jobId).toBe("a");
  expect((await taken(queue)).jobId).toBe("b");
});

test("a job that ended is forgotten: a new reference of the same id is a job again", async () => {
  const queue = await open();
  await add("a");
  await (await taken(queue)).end();
  expect(await jobs.getJobCounts()).toMatchObject({ waiting: 0, active: 0, completed: 0 });
  await add("a");
  expect((await taken(queue)).jobId).toBe("a");
});

test("who listens is woken by a job that comes, and by one that another handed back", async () => {
  const [queue, other] = [await open(), await open()];
  expect(await queue.take()).toBeNull();
  const came = queue.listen();
  await add("a");
  const lease = await came;
  expect(lease?.jobId).toBe("a");
  expect(await other.take()).toBeNull();
  const again = other.listen();
  await lease?.handBack();
  expect((await again)?.jobId).toBe("a");
});

test("a lease is renewed for as long as it is held", async () => {
  const [queue, other] = [await open(600), await open(600)];
  await add("a");
  const lease = await taken(queue);
  // The stalled check, which runs once a lease, would give it away if it lapsed.
  await expectNothing(other);
  expect(lease.lost.aborted).toBe(false);
  await lease.end();
});

test("a lease that lapsed is noticed, and its holder can no longer end the job", async () => {
  const [queue, other] = [await open(900), await open(900)];
  await add("a");
  const lease = await taken(queue);
  // As when the process stood still for longer than a lease.
  await redis.del(`${queuePrefix(model)}:batch:a:lock`);
  const takenOver = await until(() => other.listen());
  await until(async () => lease.lost.aborted);
  await lease.end();
  expect(await jobs.getActiveCount()).toBe(1);
  expect(takenOver.jobId).toBe("a");
  await takenOver.end();
  expect(await jobs.getJobCounts()).toMatchObject({ waiting: 0, active: 0 });
});

test("a job that comes back to its own holder ends the earlier lease, not the new one", async () => {
  const queue = await open(900);
  await add("a");
  const lease = await taken(queue);
  await redis.del(`${queuePrefix(model)}:batch:a:lock`);
  const again = await until(() => queue.listen());
  expect(again.jobId).toBe("a");
  await until(async () => lease.lost.aborted);
  await lease.end();
  await expectNothing(queue);
  expect(again.lost.aborted).toBe(false);
  expect(await jobs.getActiveCount()).toBe(1);
});
