import { readdirSync } from "node:fs";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectRedis } from "./connect.ts";
import { createJob, readJob } from "./job-store.ts";
import { newJob } from "./new-job.fixture.ts";
import { loadScript, runScript } from "./script.ts";

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

test("a command that the server forgot is sent whole, once", async () => {
  const job = newJob();
  await redis.script("FLUSH");
  expect(await createJob(redis, job)).toEqual({ created: true });
  expect(await readJob(redis, job.id)).not.toBeNull();

  const { sha1 } = loadScript("create_job.lua");
  expect(await redis.script("EXISTS", sha1)).toEqual([1]);
  await redis.config("RESETSTAT");
  await createJob(redis, newJob());
  const stats = await redis.info("commandstats");
  expect(stats).toContain("cmdstat_evalsha:calls=1,");
  expect(stats).not.toContain("cmdstat_eval:");
});

test("an error of the command itself is not tried again", async () => {
  await redis.set("quern:job:{text}", "no hash");
  await redis.config("RESETSTAT");
  await expect(
    runScript(redis, loadScript("claim_job.lua"), ["quern:job:{text}", "x{text}"], [1]),
  ).rejects.toThrow(/WRONGTYPE/);
  expect(await redis.info("commandstats")).toContain("cmdstat_evalsha:calls=1,");
});

/** A key of the call, or an argument that a function of the scripts gets one in. */
const GIVEN_KEY = /^((KEYS|keys)\[\w+\]|record|events|reference|lock|batch|ended|live|outbox|positions)$/;

test("every command's keys share a hash tag, so that a cluster can run it", () => {
  const sources = readdirSync(new URL("lua", import.meta.url)).map((file) => loadScript(file).source);
  // A key that a script makes up itself would be in a slot nobody asked about.
  const keys = sources.flatMap((source) =>
    [...source.matchAll(/redis\.call\('\w+', ([^,)\s]+)/g)].map(([, key]) => key),
  );
  expect(keys.length).toBeGreaterThan(100);
  for (const key of keys) expect(key).toMatch(GIVEN_KEY);
});
