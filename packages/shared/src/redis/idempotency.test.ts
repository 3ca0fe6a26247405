import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { idempotencyKey } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { forgetKey, type KeyedRequest, reserveKey, settleKey } from "./idempotency.ts";

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

let drawn = 0;
const keyed = (changes: Partial<KeyedRequest> = {}): KeyedRequest => ({
  tenant: "default",
  keyHash: `key${++drawn}`,
  requestHash: "the request",
  ...changes,
});
const KEPT = { keptSeconds: 100, retentionSeconds: 50 };
const reserve = (request: KeyedRequest, jobId: string, changes: object = {}) =>
  reserveKey(redis, request, { jobId, ...KEPT, ...changes });

async function reserved(request: KeyedRequest, jobId: string, changes: object = {}): Promise<string> {
  const reservation = await reserve(request, jobId, changes);
  if (!("holder" in reservation)) throw new Error(`the reservation was ${reservation.kind}`);
  return reservation.holder;
}

test("of many who ask at once one submits; later ones get its job", async () => {
  const request = keyed();
  const asked = await Promise.all(Array.from({ length: 50 }, (_, at) => reserve(request, `job_${at}`)));
  const [first, ...others] = asked.toSorted((a, b) => Number("holder" in b) - Number("holder" in a));
  if (first === undefined || !("holder" in first)) throw new Error("nobody may submit");
  expect(first.kind).toBe("reserved");
  expect(others.map(({ kind }) => kind)).toEqual(others.map(() => "in_flight"));

  expect(await settleKey(redis, request, first.holder, "accepted", 200)).toEqual({ settled: true });
  expect(await reserve(request, "job_late")).toEqual({ kind: "accepted", jobId: first.jobId });
  const ttl = await redis.ttl(idempotencyKey(request.tenant, request.keyHash));
  expect(ttl).toBeGreaterThan(150);
});

test("another request, another tenant, another key", async () => {
  const request = keyed();
  await reserved(request, "job_1");
  expect(await reserve({ ...request, requestHash: "another" }, "job_2")).toEqual({ kind: "reused" });
  expect((await reserve({ ...request, tenant: "another" }, "job_3")).kind).toBe("reserved");
  expect((await reserve(keyed(), "job_4")).kind).toBe("reserved");
});

test("a reservation whose lease lapsed is taken over under the same job id, and its holder has no more say", async () => {
  const request = keyed();
  const dead = await reserved(request, "job_1", { leaseMs: 0 });
  const heir = await reserve(request, "job_2");
  expect(heir).toMatchObject({ kind: "taken_over", jobId: "job_1" });
  for (const outcome of ["accepted", "refused", "unclear"] as const) {
    expect(await settleKey(redis, request, dead, outcome, 200)).toEqual({ settled: false });
  }
  expect((await reserve(request, "job_3")).kind).toBe("in_flight");
});

test("a refused request frees its key, one that broke off is gone on with at once", async () => {
  const refused = keyed();
  await settleKey(redis, refused, await reserved(refused, "job_1"), "refused", 200);
  expect(await reserve({ ...refused, requestHash: "another" }, "job_2")).toMatchObject({
    kind: "reserved",
    jobId: "job_2",
  });
  const unclear = keyed();
  await settleKey(redis, unclear, await reserved(unclear, "job_3"), "unclear", 200);
  expect(await reserve(unclear, "job_4")).toMatchObject({ kind: "taken_over", jobId: "job_3" });
});

test("an accepted key is not opened again by whoever settles late", async () => {
  const request = keyed();
  const holder = await reserved(request, "job_1");
  await settleKey(redis, request, holder, "accepted", 200);
  expect(await settleKey(redis, request, holder, "refused", 200)).toEqual({ settled: false });
  expect(await reserve(request, "job_2")).toEqual({ kind: "accepted", jobId: "job_1" });
});

test("a reservation older than jobs are kept is not taken over: its job may have come and gone", async () => {
  const request = keyed();
  await reserved(request, "job_1", { leaseMs: 0 });
  await redis.hset(idempotencyKey(request.tenant, request.keyHash), "reservedAtMs", "1");
  expect(await reserve(request, "job_2")).toEqual({ kind: "accepted", jobId: "job_1" });
});

test("a key is forgotten with its own job only", async () => {
  const request = keyed();
  await settleKey(redis, request, await reserved(request, "job_1"), "accepted", 200);
  const job = { tenant: request.tenant, idempotencyKeyHash: request.keyHash };
  await forgetKey(redis, { ...job, id: "job_2" });
  expect((await reserve(request, "job_3")).kind).toBe("accepted");
  await forgetKey(redis, { ...job, id: "job_1" });
  expect((await reserve(request, "job_3")).kind).toBe("reserved");
  await forgetKey(redis, { ...job, id: "job_3", idempotencyKeyHash: null });
});
