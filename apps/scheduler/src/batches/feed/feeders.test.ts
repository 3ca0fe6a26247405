import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord, EndedLine } from "@quern/shared/contract/batch";
import type { JobRecord } from "@quern/shared/contract/job";
import { lineJobId, lineOfJob } from "@quern/shared/contract/line-job";
import { batchKey, feederLockKey, jobKey } from "@quern/shared/contract/names";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { fileKey } from "@quern/shared/files/file-key";
import { NO_LEADER, writeLeaders } from "@quern/shared/files/line-leaders";
import { dropLiveLine, readLiveLines } from "@quern/shared/redis/batch-lines";
import {
  announceBatch,
  createBatch,
  forgetBatch,
  moveBatch,
  pauseBatch,
  readBatch,
} from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { type FeedState, readFeedStates } from "@quern/shared/redis/feed-state";
import { newBatch } from "@quern/shared/redis/new-batch.fixture";
import { TimedLock } from "@quern/shared/redis/timed-lock";
import { until } from "@quern/testing/cluster";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { JobReferences } from "../../queue/job-references.ts";
import { answered, failedWith, type RunLine, startLineConsumer } from "../../queue/line-consumer.fixture.ts";
import {
  chatLine,
  chatLines,
  collectEnds,
  feedContext,
  startBatch,
  startFeeders,
} from "./feeding.fixture.ts";
import { ModelFeeder } from "./model-feeder.ts";

// Real Redis, real BullMQ, real files; only the engine is missing.

let server: RedisServer;
let redis: Redis;
let folder: string;
let files: DirectoryStore;
let stack = new AsyncDisposableStack();

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
  folder = await mkdtemp(join(tmpdir(), "quern-feeding-"));
  files = new DirectoryStore(folder);
});
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
  await redis.flushall();
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

let models = 0;
const newModel = () => `model-${models++}`;
const consumer = async (model: string, run: RunLine, slots = 8) =>
  stack.use(await startLineConsumer(redis, { model, slots, run }));
const feeders = async (options: Parameters<typeof startFeeders>[2] = {}) =>
  stack.use(await startFeeders(server.url, files, options));
const stateOf = async (batchId: string) => (await readFeedStates(redis, [batchId]))[0] as FeedState;

/** All ends of a batch, when all of its lines have ended. */
async function endsOf(batchId: string): Promise<EndedLine[]> {
  const ends: EndedLine[] = [];
  return until(async () => {
    const { ended, total } = await stateOf(batchId);
    ends.push(...(await collectEnds(redis, batchId)));
    return ended >= total ? ends : null;
  });
}

function expectEachOnce(ends: EndedLine[], count: number): void {
  expect(ends.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: count }, (_, at) => at),
  );
}

test("every line is run once, however often its feeder dies", async () => {
  const model = newModel();
  const runs = new Map<string, number>();
  await consumer(model, async ({ id }) => {
    runs.set(id, (runs.get(id) ?? 0) + 1);
    await sleep(4);
    return answered();
  });
  const batchId = await startBatch(redis, files, model, chatLines(2_000));
  let over = false;
  const killing = (async () => {
    let killed = 0;
    while (!over) {
      const victim = await startFeeders(server.url, files, { lookaheadLines: 64 });
      const { ended } = await stateOf(batchId);
      // In the middle of feeding, wherever that is just then.
      await until(async () => over || (await stateOf(batchId)).ended >= ended + 70 + (killed % 7) * 9);
      await victim.kill(redis, model);
      killed += 1;
    }
    return killed;
  })();
  const ends = await endsOf(batchId);
  over = true;
  expect(await killing).toBeGreaterThan(10);
  expectEachOnce(ends, 2_000);
  expect([...runs.values()].filter((count) => count > 1)).toEqual([]);
  expect(await readBatch(redis, batchId)).toMatchObject({ completed: 2_000, failed: 0 });
  expect(await stateOf(batchId)).toMatchObject({ live: 0, liveBytes: 0, liveTokens: 0, retries: 0 });
}, 60_000);

test("what two feed at once is fed once", async () => {
  const model = newModel();
  let runs = 0;
  await consumer(model, () => {
    runs += 1;
    return answered();
  });
  const batchId = await startBatch(redis, files, model, chatLines(1_000));
  const batch = (await readBatch(redis, batchId)) as BatchRecord;
  const references = new JobReferences(redis, () => {});
  stack.defer(() => references.close());
  const stop = new AbortController();
  const told: string[] = [];
  // Each has a lock of its own, and takes itself for the only one.
  const running = ["one", "other"].map((key) => {
    const context = { ...feedContext(redis, files, references, told), lookaheadLines: 64 };
    const feeder = new ModelFeeder(context, model, new TimedLock(redis, `test:${key}`, 5_000));
    feeder.set([{ ...batch, model }]);
    return feeder.run(stop.signal);
  });
  expectEachOnce(await endsOf(batchId), 1_000);
  expect(runs).toBe(1_000);
  expect(told).toEqual([`feeding ${model}`, `feeding ${model}`]);
  stop.abort();
  await Promise.all(running);
}, 30_000);

test("a tenant that comes to another's long batch has its share from then on", async () => {
  const model = newModel();
  const order: string[] = [];
  // As long as a short answer takes: what a look comes late counts little.
  await consumer(model, async ({ tenant }) => {
    await sleep(50);
    order.push(tenant);
    return answered();
  });
  await feeders();
  const long = await startBatch(redis, files, model, chatLines(2_000), { tenant: "a" });
  await until(async () => (await stateOf(long)).ended > 100);
  const short = await startBatch(redis, files, model, chatLines(100), { tenant: "b" });
  const from = order.length;
  await until(async () => (await stateOf(short)).ended === 100);
  // Alone it would be 100.
  const meanwhile = order.lastIndexOf("b") + 1 - from;
  expect(meanwhile).toBeLessThanOrEqual(220);
}, 30_000);

test("tenants get what their weights say", async () => {
  const model = newModel();
  const order: string[] = [];
  await feeders({ weightOf: (tenant) => (tenant === "heavy" ? 3 : 1) });
  for (const tenant of ["light", "heavy"]) await startBatch(redis, files, model, chatLines(400), { tenant });
  await consumer(model, async ({ tenant }) => {
    await sleep(2);
    order.push(tenant);
    return answered();
  });
  await until(async () => order.length >= 300);
  const heavy = order.slice(100, 300).filter((tenant) => tenant === "heavy").length;
  expect(heavy).toBeGreaterThan(120);
  expect(heavy).toBeLessThan(180);
}, 30_000);

test("of a tenant's batches the one whose window ends first goes first", async () => {
  const model = newModel();
  const order: string[] = [];
  const [soon, later] = [Date.now() + 60_000, Date.now() + 120_000];
  const late = await startBatch(redis, files, model, chatLines(30), { expiresAtMs: later });
  const early = await startBatch(redis, files, model, chatLines(30), { expiresAtMs: soon });
  await feeders();
  await until(async () => (await stateOf(early)).live + (await stateOf(late)).live === 16);
  await consumer(
    model,
    ({ id }) => {
      order.push(lineOfJob(id)?.batchId ?? "");
      return answered();
    },
    1,
  );
  await until(async () => order.length === 60);
  expect(new Set(order.slice(0, 30))).toEqual(new Set([early]));
}, 30_000);

test("no more lines are under way than workers can have", async () => {
  const model = newModel();
  const hold = Promise.withResolvers<void>();
  await consumer(model, () => hold.promise.then(() => answered()), 4);
  await feeders();
  const batchIds = [
    await startBatch(redis, files, model, chatLines(100), { tenant: "a" }),
    await startBatch(redis, files, model, chatLines(100), { tenant: "b" }),
  ];
  const live = async () => {
    const [a, b] = await readFeedStates(redis, batchIds);
    return (a?.live ?? 0) + (b?.live ?? 0);
  };
  await until(async () => (await live()) === 12);
  // A few looks later it is the same.
  for (let look = 0; look < 5; look++) await announceBatch(redis, batchIds[0] as string);
  expect(await live()).toBe(12);
  hold.resolve();
  await until(async () => (await live()) === 0);
}, 30_000);

test("Redis holds a window of lines, not the batch", async () => {
  const model = newModel();
  await consumer(model, () => answered());
  const before = await usedMemory();
  const text = "x".repeat(8_000);
  const lines = chatLines(5_000, { messages: [{ role: "user", content: text }] });
  const batchId = await startBatch(redis, files, model, lines);
  await feeders();
  let peak = 0;
  const ends: EndedLine[] = [];
  await until(async () => {
    peak = Math.max(peak, await usedMemory());
    ends.push(...(await collectEnds(redis, batchId)));
    return (await stateOf(batchId)).ended === 5_000;
  });
  ends.push(...(await collectEnds(redis, batchId)));
  expectEachOnce(ends, 5_000);
  expect(peak - before).toBeLessThan(64 * 2 ** 20);
}, 60_000);

async function usedMemory(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1]);
}

test("a batch that is paused takes no more lines, and goes on where it was", async () => {
  const model = newModel();
  await consumer(model, async () => {
    await sleep(3);
    return answered();
  });
  await feeders();
  const batchId = await startBatch(redis, files, model, chatLines(300));
  await until(async () => (await stateOf(batchId)).ended > 50);
  await pauseBatch(redis, batchId, "pause", Date.now());
  await announceBatch(redis, batchId);
  await until(async () => (await stateOf(batchId)).live === 0);
  expect((await stateOf(batchId)).ended).toBeLessThan(300);
  await pauseBatch(redis, batchId, "resume", Date.now());
  await announceBatch(redis, batchId);
  expectEachOnce(await endsOf(batchId), 300);
}, 30_000);

test("while nobody writes the ends of lines to files, no more are fed", async () => {
  const model = newModel();
  await consumer(model, () => answered(), 64);
  await feeders();
  const batchId = await startBatch(redis, files, model, chatLines(4_000));
  const full = await until(async () => {
    const { outbox, live } = await stateOf(batchId);
    return outbox >= 2_000 && live === 0 ? outbox : null;
  });
  expect(full).toBeLessThanOrEqual(2_000 + 512);
  expect((await stateOf(batchId)).outbox).toBe(full);
  expectEachOnce(await endsOf(batchId), 4_000);
}, 30_000);

test("nor are they while the ends that wait are few and long", async () => {
  const model = newModel();
  const end = answered();
  const long = { ...end, result: end.result && { ...end.result, text: "long ".repeat(40_000) } };
  await consumer(model, () => long, 4);
  await feeders();
  const batchId = await startBatch(redis, files, model, chatLines(300));
  const waiting = await until(async () => {
    const { outbox, outboxBytes, live } = await stateOf(batchId);
    return outboxBytes >= 16 * 2 ** 20 && live === 0 ? outbox : null;
  });
  expect(waiting).toBeLessThan(200);
  expectEachOnce(await endsOf(batchId), 300);
}, 30_000);

test("what failed in passing is fed again when it is due, with the seed that it had", async () => {
  const model = newModel();
  const seen = new Map<number, JobRecord[]>();
  await consumer(model, (record) => {
    const index = lineOfJob(record.id)?.index ?? -1;
    seen.set(index, [...(seen.get(index) ?? []), record]);
    const isFirst = seen.get(index)?.length === 1;
    return isFirst && index % 10 === 3 ? failedWith("internal_error") : answered();
  });
  await feeders();
  const batchId = await startBatch(redis, files, model, chatLines(40));
  expectEachOnce(await endsOf(batchId), 40);
  expect(await readBatch(redis, batchId)).toMatchObject({ completed: 40 });
  for (const index of [3, 13, 23, 33]) {
    const [first, second] = seen.get(index) ?? [];
    expect(second?.request).toEqual(first?.request);
    expect(second?.line?.customId).toBe(`line ${index}`);
    expect((second?.createdAtMs ?? 0) - (first?.createdAtMs ?? 0)).toBeGreaterThan(900);
  }
}, 30_000);

test("a line that can't be a job ends at once, and stops no other", async () => {
  const model = newModel();
  await consumer(model, () => answered());
  await feeders();
  const lines = chatLines(2_000).map((line, index) =>
    index % 2 === 0 ? chatLine(index, { stream: true }) : line,
  );
  const batchId = await startBatch(redis, files, model, lines);
  const ends = await endsOf(batchId);
  expectEachOnce(ends, 2_000);
  expect(await readBatch(redis, batchId)).toMatchObject({ completed: 1_000, failed: 1_000 });
  expect(ends.find(({ index }) => index === 0)).toMatchObject({
    customId: "line 0",
    state: "failed",
    error: { code: "unsupported_parameter", param: "stream" },
  });
}, 30_000);

test("lines whose prompts begin alike are neighbours", async () => {
  const model = newModel();
  const order: string[] = [];
  const system = (index: number) => `You are number ${(index * 7) % 5}.`;
  const lines = chatLines(100).map((_, index) =>
    chatLine(index, {
      messages: [
        { role: "system", content: system(index) },
        { role: "user", content: `${index}` },
      ],
    }),
  );
  await startBatch(redis, files, model, lines);
  await feeders({ lookaheadLines: 50 });
  await consumer(
    model,
    ({ id }) => {
      order.push(system(lineOfJob(id)?.index ?? -1));
      return answered();
    },
    1,
  );
  await until(async () => order.length === 100);
  const changes = order.filter((begin, at) => at > 0 && begin !== order[at - 1]).length;
  // Five beginnings in each of two blocks; the second begins with the one that the first ended with.
  expect(changes).toBe(8);
}, 30_000);

test("copies are not fed, their leaders count for them", async () => {
  const model = newModel();
  const runs: string[] = [];
  await consumer(model, ({ line }) => {
    runs.push(line?.customId ?? "");
    return answered();
  });
  const tenant = "acme";
  const batchId = await startBatch(redis, files, model, chatLines(6), { tenant, dedupe: true });
  // Too late for a batch that is in progress: nobody feeds yet.
  const leaders = Int32Array.of(NO_LEADER, 0, NO_LEADER, 0, 2, NO_LEADER);
  await writeLeaders(files, { tenant, id: batchId }, leaders, new AbortController().signal);
  await feeders();
  const ends = await endsOf(batchId);
  expect(runs.toSorted()).toEqual(["line 0", "line 2", "line 5"]);
  expect(ends.map(({ index, copies }) => [index, copies]).toSorted()).toEqual([
    [0, 2],
    [2, 1],
    [5, 0],
  ]);
}, 30_000);

test("a line that Redis has lost is found and fed again", async () => {
  const model = newModel();
  const hold = Promise.withResolvers<void>();
  await consumer(model, () => hold.promise.then(() => answered()), 1);
  await feeders();
  const batchId = await startBatch(redis, files, model, chatLines(9));
  const live = await until(async () => {
    const lines = await readLiveLines(redis, batchId, 20);
    return lines.length === 9 ? lines : null;
  });
  // The last one waits.
  const { index } = live.at(-1) as { index: number };
  await redis.del(jobKey(lineJobId({ batchId, index })));
  await dropLiveLine(redis, { batchId, index });
  hold.resolve();
  expectEachOnce(await endsOf(batchId), 9);
}, 30_000);

test("a batch whose input is gone keeps no other waiting", async () => {
  const model = newModel();
  await consumer(model, () => answered());
  const gone = await startBatch(redis, files, model, chatLines(10), { expiresAtMs: Date.now() + 60_000 });
  const { tenant, inputFileId } = (await readBatch(redis, gone)) ?? { tenant: "", inputFileId: "" };
  await files.remove(fileKey({ tenant, id: inputFileId }));
  const { told } = await feeders();
  const other = await startBatch(redis, files, model, chatLines(10));
  expectEachOnce(await endsOf(other), 10);
  expect(told).toContain("unreadable file_missing");
  expect(await stateOf(gone)).toMatchObject({ status: "in_progress", ended: 0, live: 0 });
}, 30_000);

test("batches that only wait are seldom looked at, and go on when they may", async () => {
  const model = newModel();
  await consumer(model, async () => {
    await sleep(5);
    return answered();
  });
  const waiting: string[] = [];
  for (let count = 0; count < 100; count++) {
    const id = await startBatch(redis, files, model, chatLines(2));
    await pauseBatch(redis, id, "pause", Date.now());
    waiting.push(id);
  }
  await feeders();
  const active = await startBatch(redis, files, model, chatLines(600));
  await until(async () => (await stateOf(active)).ended > 50);
  await redis.config("RESETSTAT");
  await until(async () => {
    await collectEnds(redis, active);
    return (await stateOf(active)).ended === 600;
  });
  const stats = await redis.info("commandstats");
  // Of each batch once a look, and by this test.
  const looks = Number(/cmdstat_xlen:calls=(\d+)/.exec(stats)?.[1]);
  expect(looks).toBeLessThan(10 * waiting.length);
  for (const id of waiting) await pauseBatch(redis, id, "resume", Date.now());
  for (const id of waiting) expectEachOnce(await endsOf(id), 2);
}, 60_000);

test("a batch whose record nobody can read stops no other", async () => {
  const model = newModel();
  const broken = newBatch();
  await createBatch(redis, broken);
  await moveBatch(redis, broken.id, "validated", null, Date.now(), { model, total: 1 });
  await redis.hset(batchKey(broken.id), "metadata", "{");
  await consumer(model, () => answered());
  await feeders();
  expectEachOnce(await endsOf(await startBatch(redis, files, model, chatLines(20))), 20);
  await forgetBatch(redis, broken.id);
});

test("another scheduler takes over when the lock lapses", async () => {
  const model = newModel();
  await consumer(model, () => answered());
  const lock = new TimedLock(redis, feederLockKey(model), 1_500);
  await lock.hold();
  await feeders();
  const batchId = await startBatch(redis, files, model, chatLines(10));
  expectEachOnce(await endsOf(batchId), 10);
}, 30_000);
