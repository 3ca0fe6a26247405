import { readFileSync } from "node:fs";
import { connectRedis } from "@quern/shared/redis/connect";
import { until } from "@quern/testing/cluster";
import { startRedis } from "@quern/testing/redis-server";
import { expect, test } from "vitest";
import { courseOf, residentBytes, sampleMemory, usedMemory } from "./memory-samples.ts";

test("peaks are of all samples, and one of four is kept", () => {
  const bytes = [5, 9, 7, 1, 2].map((redis) => ({ redis, worker: 100 - redis }));
  const samples = bytes.map((one, at) => ({ atMs: at * 250, bytes: one }));
  expect(courseOf(samples)).toEqual({
    peaks: { redis: 9, worker: 99 },
    samples: [samples[0], samples[4]],
  });
});

test("what the system says of this process is about what Node says", () => {
  const bytes = residentBytes(readFileSync("/proc/self/status", "utf8"));
  expect(bytes / process.memoryUsage.rss()).toBeGreaterThan(0.5);
  expect(bytes / process.memoryUsage.rss()).toBeLessThan(2);
});

test("what says nothing of memory is an error, not a zero", () => {
  expect(() => residentBytes("Name:\tnode\n")).toThrow(/memory/);
  expect(() => usedMemory("# Memory\r\nused_memory_human:1M\r\n")).toThrow(/memory/);
});

test("memory that is taken while it is looked at shows in the peak", async () => {
  await using server = await startRedis();
  const redis = connectRedis(server.url, "work", () => {});
  try {
    let looks = 0;
    const info = (section: string) => {
      looks += 1;
      return redis.info(section);
    };
    const finished = new AbortController();
    const processes = { own: process.pid };
    const course = sampleMemory({ processes, redis: { info } }, finished.signal);
    await until(async () => looks > 0);
    await redis.set("large", Buffer.alloc(8 * 2 ** 20));
    const looksBefore = looks;
    // One may have been under way.
    await until(async () => looks > looksBefore + 1);
    finished.abort();
    const { peaks, samples } = await course;
    expect(peaks.redis).toBeGreaterThan(8 * 2 ** 20);
    expect(peaks.own).toBeGreaterThan(0);
    expect(samples[0]?.atMs).toBeLessThan(250);
  } finally {
    redis.disconnect();
  }
});
