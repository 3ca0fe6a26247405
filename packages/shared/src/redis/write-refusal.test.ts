import { once } from "node:events";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectRedis } from "./connect.ts";
import { isRedisAway } from "./redis-away.ts";
import { findWriteRefusal, writeRefusalOf } from "./write-refusal.ts";

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "request", () => {});
  await once(redis, "ready");
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

test.each([
  ["maxmemory", "1mb", "0", "its memory is full"],
  ["min-replicas-to-write", "1", "0", "too few replicas"],
])(
  "a refusal by %s is found, with its cure, and only while it lasts",
  async (name, refusing, accepting, says) => {
    expect(await findWriteRefusal(redis)).toBeNull();
    await redis.config("SET", name, refusing);
    try {
      const refusal = await findWriteRefusal(redis);
      expect(refusal).toContain(says);
      expect(refusal).toContain(name);
      const error = await redis.set("key", "value").catch((thrown: unknown) => thrown);
      expect(writeRefusalOf(error)).toBe(refusal);
      expect(isRedisAway(error)).toBe(true);
    } finally {
      await redis.config("SET", name, accepting);
    }
    expect(await findWriteRefusal(redis)).toBeNull();
  },
);

test("the look writes nothing", async () => {
  const written = async () => /aof_current_size:(\d+)/.exec(await redis.info("persistence"))?.[1];
  const before = await written();
  await findWriteRefusal(redis);
  expect(await redis.dbsize()).toBe(0);
  expect(await written()).toBe(before);
});

test("a Redis that can't be reached is another matter", async () => {
  const gone = await startRedis();
  const client = connectRedis(gone.url, "request", () => {});
  await once(client, "ready");
  await gone[Symbol.asyncDispose]();
  try {
    const error = await findWriteRefusal(client).catch((thrown: unknown) => thrown);
    expect(isRedisAway(error)).toBe(true);
    expect(writeRefusalOf(error)).toBeNull();
  } finally {
    client.disconnect();
  }
});
