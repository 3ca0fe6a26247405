import { once } from "node:events";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectRedis } from "./connect.ts";

// The time limit on commands of a `request` connection judges Redis, not this process.

const LIMIT_MS = 800;

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

/** Keeps this process's event loop busy. */
function block(durationMs: number): void {
  const untilMs = performance.now() + durationMs;
  while (performance.now() < untilMs);
}

/** Keeps Redis busy, which then answers. */
const BUSY_SCRIPT = `
local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local untilMs = now() + tonumber(ARGV[1])
while now() < untilMs do end
return 'done'`;

test("a reply that waits for a busy event loop arrives, however long the loop was busy", async () => {
  const reply = redis.ping();
  block(2 * LIMIT_MS);
  expect(await reply).toBe("PONG");
});

/** More than Redis reads at once: it answers the commands of one read together. */
const LARGE = "x".repeat(64 * 1_024);

test("a command may wait longer than the limit while Redis answers those before it", async () => {
  const replies = await Promise.all([
    ...Array.from({ length: 4 }, () => redis.eval(BUSY_SCRIPT, 0, LIMIT_MS / 2, LARGE)),
    redis.ping(),
  ]);
  expect(replies).toEqual(["done", "done", "done", "done", "PONG"]);
});

test("a command that Redis leaves unanswered fails, and a later one does not wait for it", async () => {
  const slow = redis.eval(BUSY_SCRIPT, 0, 3 * LIMIT_MS);
  await expect(slow).rejects.toThrow("Command timed out");
  await expect.poll(() => redis.ping().catch(() => "away"), { timeout: 10_000 }).toBe("PONG");
});
