import type { NewJob } from "@quern/shared/contract/job";
import {
  jobKey,
  liveJobsKey,
  queuePrefix,
  WEBHOOK_QUEUE_PREFIX,
  webhookKey,
} from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { indexDeadline, redisNowMs } from "@quern/shared/redis/deadlines";
import { listJobs } from "@quern/shared/redis/job-list";
import {
  cancelJob,
  claimJob,
  commitJob,
  confirmJob,
  createJob,
  handBackJob,
  readJob,
} from "@quern/shared/redis/job-store";
import { enterLiveJob, type JobCounters, readJobCounters } from "@quern/shared/redis/live-jobs";
import { newJob } from "@quern/shared/redis/new-job.fixture";
import { readDelivery } from "@quern/shared/redis/webhook-store";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { SchedulerEvents } from "../events.ts";
import { DELIVERY_QUEUE, DeliveryQueue } from "../queue/delivery-queue.ts";
import { JobReferences } from "../queue/job-references.ts";
import { expireDue } from "./expire-due.ts";
import { livePages } from "./live-pages.ts";
import { mendJob } from "./mend-job.ts";
import { readStandings } from "./standing.ts";
import { type SweepContext, sweepEntry } from "./sweep-entry.ts";

// Every test leaves a job as some death leaves it, and looks at what a sweep makes of it. Real Redis, real BullMQ.

const MODEL = "m";
const HOUR_MS = 3_600_000;

let server: RedisServer;
let redis: Redis;
let queue: Queue;
let worker: Worker;
let told: string[];
let context: SweepContext;
let references: JobReferences;
let deliveries: DeliveryQueue;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await redis.flushall();
  told = [];
  queue = new Queue("interactive", { connection: redis, prefix: queuePrefix(MODEL) });
  // Without a processor it takes what the test asks it to, and looks for lapsed leases never.
  worker = new Worker("interactive", null, {
    connection: redis,
    prefix: queuePrefix(MODEL),
    lockDuration: 60_000,
  });
  references = new JobReferences(redis, fail);
  deliveries = new DeliveryQueue(redis, [0, 5], fail);
  context = { redis, references, deliveries, retentionSeconds: 60, events: recorder() };
});
afterEach(async () => {
  await Promise.all([queue.close(), worker.close(), references.close(), deliveries.close()]);
});

function fail(error: Error): never {
  throw error;
}

function recorder(): SchedulerEvents {
  const tell =
    (name: string) =>
    (...parts: unknown[]) =>
      void told.push(
        [name, ...parts.filter((part) => typeof part === "string" && !part.startsWith("job_"))].join(" "),
      );
  return {
    ready: tell("ready"),
    sweeping: tell("sweeping"),
    jobSettled: tell("settled"),
    jobForgotten: tell("forgotten"),
    jobExpired: tell("expired"),
    jobMended: tell("mended"),
    jobUnleased: tell("unleased"),
    sweepBroke: (_, error) => fail(error),
    fileRemoved: tell("file removed"),
    leftoversRemoved: tell("leftovers removed"),
    fileSweepBroke: (_, error) => fail(error),
    indexTrimmed: tell("index trimmed"),
    deliveryTried: tell("delivery"),
    batchTaken: tell("batch taken"),
    batchMoved: tell("batch moved"),
    batchAwaitsModel: tell("batch awaits model"),
    batchEnded: tell("batch ended"),
    batchBroke: (_, error) => fail(error),
    lineBroke: (_batch, _index, error) => fail(error),
    batchQueued: tell("batch queued"),
    batchForgotten: tell("batch forgotten"),
    feeding: tell("feeding"),
    inputUnreadable: tell("input unreadable"),
    redisError: fail,
    draining: tell("draining"),
    drained: tell("drained"),
    drainLost: tell("drain lost"),
  };
}

/** As a gateway accepts a job, up to the step where it dies. */
async function submitted(
  until: "entered" | "queued" | "confirmed",
  changes: Partial<NewJob> = {},
): Promise<NewJob> {
  const job = newJob({ model: MODEL, ...changes });
  await createJob(redis, job);
  await enterLiveJob(redis, job);
  if (until === "entered") return job;
  await addReference(job.id);
  if (until === "confirmed") await confirmJob(redis, job);
  return job;
}

const addReference = (id: string) => queue.add("generate", { jobId: id }, { jobId: id });
const stateInQueue = (id: string) => queue.getJobState(id);
const stateOf = async (id: string) => (await readJob(redis, id))?.state;

/** A walk over all live jobs, an hour after they were accepted unless told otherwise. */
async function sweep(laterMs = HOUR_MS): Promise<string[]> {
  const outcomes: string[] = [];
  for await (const page of livePages(redis)) {
    const nowMs = (await redisNowMs(redis)) + laterMs;
    const standings = await readStandings(
      redis,
      page.map(({ id }) => id),
    );
    for (const [at, entry] of page.entries()) {
      outcomes.push(await sweepEntry(context, entry, standings[at] ?? null, nowMs));
    }
  }
  return outcomes;
}

async function balance(): Promise<Partial<JobCounters>> {
  const counters = Object.entries(await readJobCounters(redis, "default"));
  return Object.fromEntries(counters.filter(([, count]) => count !== 0));
}

async function commit(id: string, epoch: number): Promise<void> {
  const usage = { promptTokens: 7, completionTokens: 5, reasoningTokens: 0, cachedTokens: 0 };
  const end = {
    state: "completed" as const,
    usage,
    result: null,
    error: null,
    events: [],
    retentionSeconds: 60,
  };
  expect(await commitJob(redis, { jobId: id, epoch }, end, 3_000)).toBe("committed");
}

async function leased(id: string, token: string): Promise<void> {
  const job = await worker.getNextJob(token, { block: false });
  expect(job?.id).toBe(id);
  expect((await claimJob(redis, id, 2_000)).kind).toBe("claimed");
}

test("a job whose worker died between the commit and the counting is settled", async () => {
  const job = await submitted("confirmed");
  await leased(job.id, "w");
  await commit(job.id, 1);
  expect(await balance()).toEqual({ accepted: 1, live: 1 });
  await sweep(0);
  expect(await balance()).toEqual({ accepted: 1, completed: 1, prompt_tokens: 7, completion_tokens: 5 });
  expect(told).toEqual(["settled completed"]);
  await sweep();
  expect(await balance()).toMatchObject({ completed: 1 });
});

test("a job whose gateway died between the cancel and the counting is settled", async () => {
  const job = await submitted("confirmed");
  await cancelJob(redis, job.id, { retentionSeconds: 60 }, 2_000);
  await sweep(0);
  expect(await balance()).toEqual({ accepted: 1, cancelled: 1 });
});

test("a job whose gateway died before it was queued is queued, and kept", async () => {
  const job = await submitted("entered");
  await sweep();
  expect(told).toEqual(["mended reference_added"]);
  expect(await stateInQueue(job.id)).toBe("waiting");
  expect(await redis.ttl(jobKey(job.id))).toBe(-1);
  expect(await balance()).toEqual({ accepted: 1, live: 1 });
  await sweep();
  expect(told).toHaveLength(1);
  expect(await queue.getWaitingCount()).toBe(1);
});

test.each(["queued", "claimed"] as const)(
  "a %s job whose gateway died before it confirmed is confirmed, with the secret of its webhook",
  async (how) => {
    const webhook = { url: "https://example.com/hook", secret: "whsec_c2VjcmV0" };
    const job = await submitted("queued", { webhook });
    if (how === "claimed") await leased(job.id, "w");
    await sweep();
    expect(await redis.ttl(jobKey(job.id))).toBe(-1);
    expect(await redis.ttl(webhookKey(job.id))).toBe(-1);
    const { records } = await listJobs(redis, {
      ...{ tenant: job.tenant, limit: 10, order: "asc", after: null },
      matches: () => true,
    });
    expect(records.map(({ id }) => id)).toEqual([job.id]);
    expect(told).toEqual([]);
  },
);

test("a job that is just being submitted is left to its gateway", async () => {
  const job = await submitted("entered");
  await sweep(0);
  expect(told).toEqual([]);
  expect(await stateInQueue(job.id)).toBe("unknown");
});

test("a reference that Redis lost is put in again, into the queue of the job's class", async () => {
  const job = await submitted("confirmed", { class: "batch" });
  await queue.remove(job.id);
  await sweep();
  const batch = new Queue("batch", { connection: redis, prefix: queuePrefix(MODEL) });
  expect(await batch.getJobState(job.id)).toBe("waiting");
  await batch.close();
});

test.each(["completed", "failed"] as const)(
  "a reference that BullMQ keeps as %s does not hold back the job's new one",
  async (how) => {
    const job = await submitted("confirmed");
    const reference = await worker.getNextJob("w", { block: false });
    if (how === "completed") await reference?.moveToCompleted("", "w", false);
    else await reference?.moveToFailed(new Error("job stalled more than allowable limit"), "w", false);
    expect(await stateInQueue(job.id)).toBe(how);
    await addReference(job.id);
    expect(await stateInQueue(job.id)).toBe(how);

    await sweep();
    expect(told).toEqual(["mended reference_added"]);
    expect(await stateInQueue(job.id)).toBe("waiting");
    expect((await worker.getNextJob("w2", { block: false }))?.id).toBe(job.id);
  },
);

test.each(["gone", "failed"] as const)(
  "a running job whose reference is %s is handed back, fenced, and queued",
  async (how) => {
    const job = await submitted("confirmed");
    const reference = await worker.getNextJob("w", { block: false });
    await claimJob(redis, job.id, 2_000);
    await reference?.moveToFailed(new Error("job stalled more than allowable limit"), "w", false);
    if (how === "gone") await queue.remove(job.id);

    await sweep();
    expect(told).toEqual(["mended handed_back"]);
    expect(await stateOf(job.id)).toBe("queued");
    expect(await stateInQueue(job.id)).toBe("waiting");
    const nothing = { usage: null, result: null, error: null, events: [], retentionSeconds: 60 };
    expect(
      await commitJob(redis, { jobId: job.id, epoch: 1 }, { state: "completed", ...nothing }, 3_000),
    ).toBe("queued");
    expect(await claimJob(redis, job.id, 4_000)).toMatchObject({ kind: "claimed", record: { attempt: 2 } });
  },
);

test("a job that is handed back for a worker that vanished keeps what its attempts have published", async () => {
  const job = await submitted("confirmed");
  await claimJob(redis, job.id, 2_000);
  const delta = { type: "delta" as const, data: { text: "One" } };
  const said = { because: "parked" as const, events: [{ seq: 2, event: delta }] };
  await handBackJob(redis, { jobId: job.id, epoch: 1 }, said, 3_000);
  await claimJob(redis, job.id, 4_000);
  await queue.remove(job.id);
  await sweep();
  expect(await readJob(redis, job.id)).toMatchObject({ state: "queued", attempt: 2 });
  await cancelJob(redis, job.id, { retentionSeconds: 60 }, 5_000);
  expect(await readJob(redis, job.id)).toMatchObject({ state: "cancelled", result: { text: "One" } });
});

test("a job that a worker has a lease of is never touched", async () => {
  const job = await submitted("confirmed");
  await leased(job.id, "w");
  expect(await sweep(24 * HOUR_MS)).toEqual(["seen"]);
  expect(told).toEqual([]);
  expect(await readJob(redis, job.id)).toMatchObject({ state: "running", attempt: 1 });
  expect(await stateInQueue(job.id)).toBe("active");
});

test("a job that moved on while its queues were looked at is not touched", async () => {
  const job = await submitted("entered");
  await confirmJob(redis, job);
  const [queued] = await readStandings(redis, [job.id]);
  if (queued == null) throw new Error("the job is not there");
  const entry = { id: job.id, tenant: job.tenant, acceptedAtMs: 1 };
  // No queue knows it, but meanwhile a worker claimed it, and another one took it over.
  for (const _ of [1, 2]) {
    await claimJob(redis, job.id, 2_000);
    expect(await mendJob(redis, references, entry, queued, 3_000)).toBe("fine");
  }
  expect(await mendJob(redis, references, entry, { ...queued, state: "running", attempt: 1 }, 3_000)).toBe(
    "fine",
  );
  expect(await readJob(redis, job.id)).toMatchObject({ state: "running", attempt: 2 });
  expect(await stateInQueue(job.id)).toBe("unknown");
});

test("a job that waits is never touched, however long", async () => {
  const job = await submitted("confirmed");
  expect(await sweep(1_000 * HOUR_MS)).toEqual(["seen"]);
  expect(told).toEqual([]);
  expect(await stateInQueue(job.id)).toBe("waiting");
});

test("a suspect waits in a queue of its own, and that counts", async () => {
  const job = await submitted("entered");
  const suspects = new Queue("suspects", { connection: redis, prefix: queuePrefix(MODEL) });
  await suspects.add("generate", { jobId: job.id }, { jobId: job.id });
  await sweep();
  await suspects.close();
  expect(told).toEqual([]);
  expect(await stateInQueue(job.id)).toBe("unknown");
});

test("a job that runs without a lease, and that nobody takes over, is told of", async () => {
  const job = await submitted("confirmed");
  await leased(job.id, "w");
  await redis.del(`${queuePrefix(MODEL)}:interactive:${job.id}:lock`);
  expect(await sweep(60_000)).toEqual(["seen"]);
  expect(await sweep(HOUR_MS)).toEqual(["unleased"]);
  expect(await readJob(redis, job.id)).toMatchObject({ state: "running", attempt: 1 });
});

test("a job without a record counts as never accepted", async () => {
  const job = await submitted("entered");
  await redis.del(jobKey(job.id));
  await sweep(0);
  expect(told).toEqual(["forgotten"]);
  expect(await balance()).toEqual({});
});

test("a queued job that is due ends, leaves its queue, and is settled, with no worker at all", async () => {
  const job = await submitted("confirmed", { deadlineAtMs: 1 });
  await indexDeadline(redis, job);
  const later = await submitted("confirmed", { deadlineAtMs: (await redisNowMs(redis)) + HOUR_MS });
  await indexDeadline(redis, later);
  await expireDue(context);
  expect(await stateOf(job.id)).toBe("expired");
  expect(await stateInQueue(job.id)).toBe("unknown");
  expect(await stateOf(later.id)).toBe("queued");
  expect(await balance()).toEqual({ accepted: 2, expired: 1, live: 1 });
});

test("the webhook of an ended job is enqueued before the job is counted, once", async () => {
  const webhook = { url: "https://example.com/hook", secret: null };
  const job = await submitted("confirmed", { webhook });
  await leased(job.id, "w");
  await commit(job.id, 1);
  const outbox = new Queue(DELIVERY_QUEUE, { connection: redis, prefix: WEBHOOK_QUEUE_PREFIX });
  // As if the first one died between the two steps.
  await sweep(0);
  await redis.zadd(liveJobsKey("default"), 1, job.id);
  await sweep(0);
  const waiting = await outbox.getJobs();
  await outbox.close();
  expect(waiting).toHaveLength(1);
  expect(waiting[0]?.data).toEqual({ jobId: job.id, url: webhook.url, signer: "tenant" });
  expect(JSON.parse((await readDelivery(redis, job.id))?.body ?? "")).toMatchObject({
    type: "job.completed",
    data: { id: job.id, status: "completed", usage: { prompt_tokens: 7 } },
  });
});

test("many live jobs of many tenants are all met, whatever leaves meanwhile", async () => {
  const stay = new Set<string>();
  for (let number = 0; number < 3_000; number++) {
    const id = `job_${number}`;
    await redis.zadd(liveJobsKey(`t${number % 3}`), number, id);
    if (number % 2 === 0) stay.add(id);
  }
  await redis.sadd("quern:tenants", "t0", "t1", "t2");
  let largest = 0;
  for await (const page of livePages(redis)) {
    largest = Math.max(largest, page.length);
    for (const { id, tenant } of page) {
      if (!stay.delete(id)) await redis.zrem(liveJobsKey(tenant), id);
    }
  }
  expect(stay.size).toBe(0);
  expect(largest).toBeLessThan(1_000);
});
