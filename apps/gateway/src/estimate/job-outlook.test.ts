import type { JobClass, JobSummary } from "@quern/shared/contract/job";
import { jobRecord } from "@quern/shared/contract/job-record.fixture";
import { queuePrefix } from "@quern/shared/contract/names";
import { type Moments, UNCALIBRATED, type WorkerRates } from "@quern/shared/contract/rates";
import type { WorkerRegistration, WorkerState } from "@quern/shared/contract/worker";
import { defaultCatalogueFile, loadCatalogue } from "@quern/shared/models/catalogue";
import { connectRedis } from "@quern/shared/redis/connect";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { registerWorker } from "@quern/shared/redis/registry";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { KnownModels } from "../admission/known-models.ts";
import { Arrivals } from "./arrivals.ts";
import { estimateOf, forecast } from "./forecast.ts";
import { outlookOf, outlooksOf } from "./job-outlook.ts";

const MODEL = "a-model";
let server: RedisServer;
let redis: Redis;
let queues: Record<JobClass, Queue>;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
  const open = (name: JobClass) => new Queue(name, { connection: redis, prefix: queuePrefix(MODEL) });
  queues = { interactive: open("interactive"), batch: open("batch") };
});
afterAll(async () => {
  await queues?.interactive.close();
  await queues?.batch.close();
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(() => redis.flushall());

const measured = (mean: number): Moments => ({ count: 64, mean, variance: (mean / 4) ** 2 });
const length = { ...measured(50), p50: 50, p90: 60 };
const load = {
  prefillMsPerToken: measured(1),
  decodeMsPerToken: measured(20),
  overheadMs: measured(5),
  occupancyMs: { interactive: measured(1_000), batch: null },
};
const RATES: WorkerRates = {
  light: load,
  full: load,
  lengths: {
    interactive: { tokensPerCharacter: measured(0.25), completionTokens: length, completionShare: null },
    batch: null,
  },
  dispatchMs: measured(10),
  drift: 0.2,
};

async function serve(changes: { state?: WorkerState; rates?: WorkerRates | null; slots?: number } = {}) {
  const registration: WorkerRegistration = {
    id: "w1",
    host: "a-host",
    pid: 1,
    enginePid: 2,
    slots: 2,
    busy: 0,
    state: "ready",
    reservedSlots: 0,
    batchSlots: null,
    rates: RATES,
    calibration: UNCALIBRATED,
    startedAtMs: 1,
    lastSeenAtMs: 2,
    description: {
      model: MODEL,
      aliases: [],
      kind: "chat",
      embeddingDimensions: null,
      architecture: "qwen3",
      parameters: 1,
      experts: null,
      contextTokens: 2_048,
      thinking: "never",
      fileBytes: 1,
      maxTokenBytes: null,
    },
    ...changes,
  };
  await registerWorker(redis, registration);
  // Of its own: nothing that was known before is remembered.
  return { redis, knownModels: new KnownModels(redis, await loadCatalogue(defaultCatalogueFile())) };
}

function job(id: string, changes: Partial<JobSummary> = {}): JobSummary {
  return jobRecord({ id, model: MODEL, size: { promptCharacters: 40, maxTokens: null }, ...changes });
}

async function enqueue(jobClass: JobClass, count: number): Promise<JobSummary[]> {
  const jobs = Array.from({ length: count }, (_, i) => job(`job_${jobClass}_${i}`, { class: jobClass }));
  for (const { id } of jobs) await queues[jobClass].add("generate", { jobId: id }, { jobId: id });
  return jobs;
}

test("positions count all that goes first: for batch jobs every interactive one too", async () => {
  const sources = await serve();
  const interactive = await enqueue("interactive", 3);
  const batch = await enqueue("batch", 2);
  const outlooks = await outlooksOf(sources, [...batch, ...interactive]);
  expect(outlooks.map(({ queuePosition }) => queuePosition)).toEqual([4, 5, 1, 2, 3]);
});

test("those further back begin and end later, p50 before p90, all after now", async () => {
  const sources = await serve();
  const jobs = await enqueue("interactive", 30);
  const nowMs = await redisNowMs(redis);
  const outlooks = await outlooksOf(sources, jobs);
  const times = (quantile: "p50" | "p90") => outlooks.map(({ startAtMs }) => startAtMs?.[quantile] ?? 0);
  for (const starts of [times("p50"), times("p90")]) {
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(starts[0]).toBeGreaterThanOrEqual(nowMs);
  }
  // Two slots free, 28 jobs through two slots of a second each.
  expect(((times("p50")[29] ?? 0) - nowMs) / 1_000).toBeGreaterThan(10);
  expect(((times("p50")[29] ?? 0) - nowMs) / 1_000).toBeLessThan(18);
  for (const { startAtMs, endAtMs, reason } of outlooks) {
    expect(reason).toBeNull();
    expect(startAtMs?.p90).toBeGreaterThan(startAtMs?.p50 ?? 0);
    expect(endAtMs?.p50).toBeGreaterThan(startAtMs?.p50 ?? 0);
  }
});

test("why there is no estimate is said, and the position stays", async () => {
  const waiting = (await enqueue("interactive", 2)).at(-1) as JobSummary;
  const unknown = { queuePosition: 2, startAtMs: null, endAtMs: null };
  for (const [changes, reason] of [
    [{ rates: null }, "no_measurement"],
    [{ state: "draining" as const }, "no_worker"],
    [{ state: "engine_down" as const }, "no_worker"],
  ] as const) {
    expect(await outlookOf(await serve(changes), waiting)).toEqual({ ...unknown, reason });
  }
  const sources = await serve();
  const leased = await outlookOf(sources, job("job_leased"));
  expect(leased).toEqual({ ...unknown, queuePosition: null, reason: "starting" });
  expect(await outlookOf(sources, job("job_other", { model: "unheard-of" }))).toMatchObject({
    reason: "starting",
  });
});

test("nobody looks for a place beyond the twenty-thousandth", async () => {
  const sources = await serve();
  const key = `${queuePrefix(MODEL)}:interactive:wait`;
  const ids = Array.from({ length: 20_001 }, (_, i) => `job_${i}`);
  await redis.lpush(key, ...ids);
  const [last, beyond] = await outlooksOf(sources, [job("job_19999"), job("job_20000")]);
  expect(last).toMatchObject({ queuePosition: 20_000, reason: null });
  expect(beyond).toMatchObject({ queuePosition: null, startAtMs: null, reason: "queue_too_long" });
});

test("a running job has an end that comes nearer as it runs, one that ended has neither", async () => {
  const sources = await serve();
  const nowMs = await redisNowMs(redis);
  const endInMs = async (ranMs: number) => {
    const running = job("job_r", { state: "running", attempt: 1, claimedAtMs: nowMs - ranMs });
    const { startAtMs, endAtMs, queuePosition } = await outlookOf(sources, running);
    expect([startAtMs, queuePosition]).toEqual([null, null]);
    return (endAtMs?.p50 ?? 0) - nowMs;
  };
  const [fresh, halfway] = [await endInMs(0), await endInMs(500)];
  expect(fresh).toBeGreaterThan(700);
  expect(halfway).toBeLessThan(fresh - 250);
  const ended = await outlookOf(sources, job("job_e", { state: "completed" }));
  expect(ended).toEqual({ queuePosition: null, startAtMs: null, endAtMs: null, reason: null });
});

test("whatever a job would take, it ends at its deadline", async () => {
  const sources = await serve();
  const nowMs = await redisNowMs(redis);
  const running = { state: "running" as const, attempt: 1, claimedAtMs: nowMs };
  const outlook = await outlookOf(sources, job("job_d", { ...running, deadlineAtMs: nowMs + 100 }));
  expect(outlook.endAtMs).toEqual({ p50: nowMs + 100, p90: nowMs + 100 });
});

test("a forecast sees those that are on their way into the queue", async () => {
  const sources = await serve({ slots: 1 });
  const arrivals = new Arrivals();
  const known = await sources.knownModels.find(MODEL);
  const asked = { class: "interactive" as const, size: { promptCharacters: 40, maxTokens: null } };
  const made = await Promise.all(
    Array.from({ length: 5 }, () => forecast(redis, known, arrivals.begin(MODEL, "interactive"), asked)),
  );
  expect(made.map((one) => estimateOf(one)?.endsBefore)).toEqual([0, 1, 2, 3, 4]);
  const starts = made.map((one) => estimateOf(one)?.startAtMs.p50 ?? 0);
  expect(starts).toEqual(starts.toSorted((a, b) => a - b));
});
