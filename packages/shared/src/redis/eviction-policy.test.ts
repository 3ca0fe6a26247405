import { startRedis } from "@quern/testing/redis-server";
import { expect, test } from "vitest";
import { connectRedis } from "./connect.ts";
import { evictionFault, readEvictionPolicy, refuseEviction } from "./eviction-policy.ts";

test("a Redis that may evict is refused, with the command that cures it", async () => {
  await using server = await startRedis();
  const redis = connectRedis(server.url, "work", () => {});
  try {
    await refuseEviction(redis);
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    expect(await readEvictionPolicy(redis)).toBe("allkeys-lru");
    await expect(refuseEviction(redis)).rejects.toMatchObject({
      code: "redis_unsuitable",
      message: expect.stringContaining("config set maxmemory-policy noeviction"),
    });
    // Keys with an expiry are ours as well: ended jobs that somebody is yet to read.
    await redis.config("SET", "maxmemory-policy", "volatile-ttl");
    await expect(refuseEviction(redis)).rejects.toMatchObject({ code: "redis_unsuitable" });
    await redis.config("SET", "maxmemory-policy", "noeviction");
    await refuseEviction(redis);
  } finally {
    redis.disconnect();
  }
});

test("it is told also to one who may not use CONFIG", async () => {
  await using server = await startRedis();
  const owner = connectRedis(server.url, "work", () => {});
  const url = new URL(server.url);
  [url.username, url.password] = ["tenant", "secret"];
  try {
    await owner.config("SET", "maxmemory-policy", "allkeys-random");
    await owner.acl("SETUSER", "tenant", "on", ">secret", "~*", "&*", "+@all", "-config");
    const redis = connectRedis(url.href, "work", () => {});
    try {
      await expect(redis.config("GET", "maxmemory-policy")).rejects.toThrow("NOPERM");
      expect(await readEvictionPolicy(redis)).toBe("allkeys-random");
    } finally {
      redis.disconnect();
    }
  } finally {
    owner.disconnect();
  }
});

test("a Redis that does not say is not accused", () => {
  expect(evictionFault(null)).toBeNull();
});
