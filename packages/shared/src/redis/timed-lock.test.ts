import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectRedis } from "./connect.ts";
import { TimedLock } from "./timed-lock.ts";

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

test("one of many holds a lock, and keeps it by renewing it", async () => {
  const locks = Array.from({ length: 5 }, () => new TimedLock(redis, "a", 60_000));
  const first = await Promise.all(locks.map((lock) => lock.hold()));
  expect(first.filter(Boolean)).toHaveLength(1);
  await redis.pexpire("a", 10_000);
  expect(await Promise.all(locks.map((lock) => lock.hold()))).toEqual(first);
  expect(await redis.pttl("a")).toBeGreaterThan(10_000);
});

test("a lock that lapsed or was released is anybody's", async () => {
  const [one, other] = [new TimedLock(redis, "b", 60_000), new TimedLock(redis, "b", 60_000)];
  expect(await one.hold()).toBe(true);
  await redis.del("b");
  expect(await other.hold()).toBe(true);
  expect(await one.hold()).toBe(false);
  await one.release();
  expect(await one.hold()).toBe(false);
  await other.release();
  expect(await one.hold()).toBe(true);
});

test("one who holds it and dies leaves it to lapse", async () => {
  const dead = new TimedLock(redis, "c", 60_000);
  await dead.hold();
  expect(await redis.pttl("c")).toBeGreaterThan(0);
});
