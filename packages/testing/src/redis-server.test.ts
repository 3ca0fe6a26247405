import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { startRedis } from "./redis-server.ts";

async function ask<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const setting = (url: string, name: string) =>
  ask(url, async (redis) => ((await redis.config("GET", name)) as string[])[1]);

test("the run's Redis is empty, durable as in production, and gone when disposed", async () => {
  const server = await startRedis();
  expect(await setting(server.url, "appendonly")).toBe("yes");
  expect(await setting(server.url, "appendfsync")).toBe("everysec");
  expect(await setting(server.url, "maxmemory-policy")).toBe("noeviction");
  expect(await ask(server.url, (redis) => redis.dbsize())).toBe(0);

  await server[Symbol.asyncDispose]();
  await expect(
    ask(server.url, async (redis) => {
      redis.on("error", () => {});
      redis.options.maxRetriesPerRequest = 0;
      return redis.ping();
    }),
  ).rejects.toThrow();
});

test("a spawned server ends with its process and its directory", async () => {
  let pid = 0;
  let dataDir = "";
  {
    await using server = await startRedis({ kind: "process" });
    expect(server.kind).toBe("process");
    pid = server.pid ?? 0;
    dataDir = (await setting(server.url, "dir")) ?? "";
    expect(processLives(pid)).toBe(true);
    expect(existsSync(dataDir)).toBe(true);
  }
  expect(processLives(pid)).toBe(false);
  expect(existsSync(dataDir)).toBe(false);
});

test("two servers at once share nothing", async () => {
  await using one = await startRedis({ appendOnly: false });
  await using two = await startRedis({ maxMemory: "32mb" });
  await ask(one.url, (redis) => redis.set("key", "value"));
  expect(await ask(two.url, (redis) => redis.get("key"))).toBeNull();
  expect(await setting(one.url, "appendonly")).toBe("no");
  expect(await setting(two.url, "maxmemory")).toBe(String(32 * 1024 * 1024));
});

test("killed -9 and started again on its port and directory, it still has its data", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "quern-redis-test-"));
  try {
    const first = await startRedis({ kind: "process", dataDir });
    await ask(first.url, (redis) => redis.set("key", "value"));
    process.kill(first.pid ?? 0, "SIGKILL");
    await first[Symbol.asyncDispose]();

    await using second = await startRedis({ dataDir, port: first.port });
    expect(second.url).toBe(first.url);
    expect(await ask(second.url, (redis) => redis.get("key"))).toBe("value");
  } finally {
    await rm(dataDir, { recursive: true });
  }
});

test("a port that is taken is an error, not somebody else's server", async () => {
  await using holder = await startRedis({ kind: "process" });
  await expect(startRedis({ port: holder.port })).rejects.toThrow("redis-server did not start: port taken");
});

test("a port whose holder says nothing is an error too", async () => {
  const mute = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => mute.once("listening", resolve));
  const address = mute.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await expect(startRedis({ port })).rejects.toThrow("port taken");
  mute.close();
});
