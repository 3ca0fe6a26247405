import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { WORKERS_KEY, workerKey } from "../contract/names.ts";
import { UNCALIBRATED } from "../contract/rates.ts";
import { REGISTRATION_TTL_MS, type WorkerRegistration } from "../contract/worker.ts";
import { connectRedis } from "./connect.ts";
import { listServedModels, listWorkers, registerWorker, unregisterWorker } from "./registry.ts";

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

function registration(id: string, changes: Partial<WorkerRegistration> = {}): WorkerRegistration {
  return {
    id,
    host: "a-host",
    pid: 12,
    enginePid: null,
    slots: 4,
    busy: 0,
    state: "ready",
    reservedSlots: 0,
    batchSlots: null,
    rates: null,
    calibration: UNCALIBRATED,
    startedAtMs: 1_000,
    lastSeenAtMs: 2_000,
    description: {
      model: "tiny-qwen3",
      aliases: ["tiny"],
      kind: "chat",
      embeddingDimensions: 64,
      architecture: "qwen3",
      parameters: 1_000,
      experts: null,
      contextTokens: 2_048,
      thinking: "optional",
      fileBytes: 10,
      maxTokenBytes: null,
    },
    ...changes,
  };
}

test("a registered worker is listed as it said, renewed by each heartbeat", async () => {
  const first = registration("w1");
  await registerWorker(redis, first);
  await registerWorker(redis, registration("w2", { enginePid: 7 }));
  await redis.pexpire(workerKey("w1"), 1_000);
  const renewed = { ...first, busy: 3, lastSeenAtMs: 3_000 };
  await registerWorker(redis, renewed);
  expect(await redis.pttl(workerKey("w1"))).toBeGreaterThan(REGISTRATION_TTL_MS - 1_000);
  const workers = await listWorkers(redis);
  expect(workers.sort((a, b) => a.id.localeCompare(b.id))).toEqual([
    renewed,
    registration("w2", { enginePid: 7 }),
  ]);
});

test("one without a heartbeat vanishes by itself, its model stays known", async () => {
  await registerWorker(redis, registration("w1"));
  await registerWorker(redis, registration("w2"));
  await redis.pexpire(workerKey("w1"), 1);
  await expect.poll(async () => (await listWorkers(redis)).map(({ id }) => id)).toEqual(["w2"]);
  expect(await redis.smembers(WORKERS_KEY)).toEqual(["w2"]);
  await unregisterWorker(redis, "w2");
  expect(await listWorkers(redis)).toEqual([]);
  expect(await redis.exists(WORKERS_KEY, workerKey("w2"))).toBe(0);
  expect(await listServedModels(redis)).toEqual([registration("w1").description]);
});

test("a model is described as its last worker loaded it", async () => {
  const { description } = registration("w1");
  const moe = { ...description, model: "moe", experts: { total: 8, used: 2 } };
  await registerWorker(redis, registration("w1"));
  await registerWorker(redis, registration("w2", { description: moe }));
  await registerWorker(redis, registration("w3", { description: { ...description, contextTokens: 4_096 } }));
  const models = (await listServedModels(redis)).sort((a, b) => a.model.localeCompare(b.model));
  expect(models).toEqual([moe, { ...description, contextTokens: 4_096 }]);
});

test("nobody registered: nobody listed, and leaving twice is no fault", async () => {
  expect(await listWorkers(redis)).toEqual([]);
  expect(await listServedModels(redis)).toEqual([]);
  await unregisterWorker(redis, "w1");
});

test("a worker that measures otherwise, or not at all, is listed without measurements", async () => {
  const {
    rates: _rates,
    calibration: _calibration,
    reservedSlots: _slots,
    batchSlots: _batch,
    ...older
  } = registration("w1");
  const other = { ...registration("w2"), rates: { tokensPerFortnight: 3 }, calibration: 7 };
  for (const worker of [older, other]) {
    await redis.set(workerKey(worker.id), JSON.stringify(worker));
    await redis.sadd(WORKERS_KEY, worker.id);
  }
  const workers = await listWorkers(redis);
  expect(workers.sort((a, b) => a.id.localeCompare(b.id))).toEqual([registration("w1"), registration("w2")]);
});
