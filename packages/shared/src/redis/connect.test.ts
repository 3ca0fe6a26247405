import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@quern/testing/free-port";
import { startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { type ConnectionPurpose, connectRedis } from "./connect.ts";
import { listJobs } from "./job-list.ts";
import { confirmJob, createJob, readJob } from "./job-store.ts";
import { newJob } from "./new-job.fixture.ts";
import { isRedisAway } from "./redis-away.ts";
import { listWorkers } from "./registry.ts";

/** How long somebody who waits for an HTTP answer may be kept when Redis is away. */
const PATIENCE_MS = 1_000;
const RECOVERY = { timeout: 8_000, interval: 50 };

function connect(url: string, purpose: ConnectionPurpose): Redis {
  const redis = connectRedis(url, purpose, () => {});
  onTestFinished(() => redis.disconnect());
  return redis;
}

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "quern-connect-test-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Everything a request may ask of Redis: single commands, scripts, pipelines. */
const QUESTIONS: Record<string, (redis: Redis) => Promise<unknown>> = {
  read: (redis) => readJob(redis, "job_1"),
  create: (redis) => createJob(redis, newJob()),
  confirm: (redis) => confirmJob(redis, newJob()),
  list: (redis) =>
    listJobs(redis, { tenant: "default", limit: 1, order: "asc", after: null, matches: () => true }),
  workers: (redis) => listWorkers(redis),
  pipeline: async (redis) => {
    for (const [error] of (await redis.pipeline().ping().ping().exec()) ?? []) if (error) throw error;
  },
};

/** Each question at once: fails, is known to mean that Redis is away, and in time. */
async function expectAway(redis: Redis): Promise<void> {
  await Promise.all(
    Object.entries(QUESTIONS).map(async ([question, ask]) => {
      const beganMs = performance.now();
      const error = await ask(redis).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error, question).toBeInstanceOf(Error);
      expect(isRedisAway(error), `${question}: ${error}`).toBe(true);
      expect(performance.now() - beganMs, question).toBeLessThan(PATIENCE_MS);
    }),
  );
}

const answers = (redis: Redis) => redis.ping().catch(() => "away");

test("a request fails at once while Redis is down, and works again when it is back, with nothing restarted", async () => {
  const dataDir = await directory();
  const first = await startRedis({ kind: "process", dataDir });
  const redis = connect(first.url, "request");
  await once(redis, "ready");
  const job = newJob();
  await createJob(redis, job);

  process.kill(first.pid ?? 0, "SIGKILL");
  await first[Symbol.asyncDispose]();
  await expectAway(redis);

  await using second = await startRedis({ dataDir, port: first.port });
  expect(second.url).toBe(first.url);
  await expect.poll(() => answers(redis), RECOVERY).toBe("PONG");
  expect(await readJob(redis, job.id)).toMatchObject({ id: job.id });
});

test("a command that is under way when Redis dies fails, and is not sent again", async () => {
  await using server = await startRedis({ kind: "process" });
  const redis = connect(server.url, "request");
  await once(redis, "ready");
  process.kill(server.pid ?? 0, "SIGSTOP");
  const underWay = redis.incr("count").then(
    () => null,
    (error: unknown) => error,
  );
  process.kill(server.pid ?? 0, "SIGKILL");
  const error = await underWay;
  expect(isRedisAway(error), String(error)).toBe(true);
});

// Again, should this machine itself have had no time: the time-out leaves 200 ms of the second.
test("a request fails in time while Redis is silent, and works again when it speaks", {
  retry: 2,
}, async () => {
  await using server = await startRedis({ kind: "process" });
  const redis = connect(server.url, "request");
  await once(redis, "ready");
  process.kill(server.pid ?? 0, "SIGSTOP");
  try {
    await expectAway(redis);
    await expectAway(redis);
  } finally {
    process.kill(server.pid ?? 0, "SIGCONT");
  }
  await expect.poll(() => answers(redis), RECOVERY).toBe("PONG");
  for (const [question, ask] of Object.entries(QUESTIONS))
    await expect(ask(redis), question).resolves.not.toThrow();
});

test("a request fails at once before Redis was ever there, and works when it comes", async () => {
  const port = await freePort();
  const redis = connect(`redis://127.0.0.1:${port}`, "request");
  await expectAway(redis);
  await using _server = await startRedis({ kind: "process", port });
  await expect.poll(() => answers(redis), RECOVERY).toBe("PONG");
});

test("work waits for Redis to come back", async () => {
  const dataDir = await directory();
  const first = await startRedis({ kind: "process", dataDir });
  const redis = connect(first.url, "work");
  await once(redis, "ready");
  process.kill(first.pid ?? 0, "SIGKILL");
  await first[Symbol.asyncDispose]();

  const job = newJob();
  let created = false;
  const waiting = createJob(redis, job).then((reply) => {
    created = true;
    return reply;
  });
  await expect.poll(() => redis.status, RECOVERY).toBe("reconnecting");
  expect(created).toBe(false);
  await using _second = await startRedis({ dataDir, port: first.port });
  expect(await waiting).toEqual({ created: true });
});

test("a subscription is made again after Redis was away", async () => {
  const dataDir = await directory();
  const first = await startRedis({ kind: "process", dataDir });
  const subscriber = connect(first.url, "subscribe");
  await subscriber.subscribe("a-channel");
  process.kill(first.pid ?? 0, "SIGKILL");
  await first[Symbol.asyncDispose]();

  await using second = await startRedis({ dataDir, port: first.port });
  const publisher = connect(second.url, "work");
  const heard = new Promise((resolve) => subscriber.once("message", (...words) => resolve(words)));
  await expect.poll(() => publisher.publish("a-channel", "again"), RECOVERY).toBe(1);
  expect(await heard).toEqual(["a-channel", "again"]);
});

test("whoever connects hears why it does not work", async () => {
  const errors: Error[] = [];
  const redis = connectRedis(`redis://127.0.0.1:${await freePort()}`, "work", (error) => errors.push(error));
  onTestFinished(() => redis.disconnect());
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  expect(isRedisAway(errors[0])).toBe(true);
});

test("a Redis that takes no more writes counts as away; a fault of ours does not", async () => {
  await using server = await startRedis({ maxMemory: "2mb" });
  const redis = connect(server.url, "request");
  await once(redis, "ready");
  const large = newJob();
  large.request = { ...large.request, messages: [{ role: "user", content: "x".repeat(500_000) }] };
  const full = await (async () => {
    for (;;) {
      const error = await createJob(redis, { ...large, id: newJob().id }).catch((reason: unknown) => reason);
      if (error instanceof Error) return error;
    }
  })();
  expect(full.message).toContain("OOM");
  expect(isRedisAway(full)).toBe(true);
  const wrong = await redis.call("NONSENSE").catch((reason: unknown) => reason);
  expect(wrong).toBeInstanceOf(Error);
  expect(isRedisAway(wrong)).toBe(false);
  expect(isRedisAway("Connection is closed.")).toBe(false);
});
