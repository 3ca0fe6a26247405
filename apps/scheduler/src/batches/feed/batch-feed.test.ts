import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lineRetriesKey } from "@quern/shared/contract/names";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { endLines, feedLines } from "@quern/shared/redis/batch-lines";
import { pauseBatch, readBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { type FeedState, readFeedCursor, readFeedStates } from "@quern/shared/redis/feed-state";
import { fedLine, unfedLine } from "@quern/shared/redis/new-batch.fixture";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BatchFeed } from "./batch-feed.ts";
import { chatLines, startBatch } from "./feeding.fixture.ts";

let server: RedisServer;
let redis: Redis;
let folder: string;
let files: DirectoryStore;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
  folder = await mkdtemp(join(tmpdir(), "quern-feed-"));
  files = new DirectoryStore(folder);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const BOUNDS = { lines: 4, bytes: 2 ** 20 };
const stateOf = async (batchId: string) => (await readFeedStates(redis, [batchId]))[0] as FeedState;

async function feedOf(batchId: string): Promise<BatchFeed> {
  const batch = await readBatch(redis, batchId);
  if (batch === null) throw new Error("no batch");
  return new BatchFeed({ redis, files }, { ...batch, model: "m" }, await stateOf(batchId));
}

/** Indexes of all that is in hand. */
function takeAll(feed: BatchFeed): number[] {
  const taken: number[] = [];
  while (feed.hasLine) taken.push(feed.take().line.index);
  return taken.toSorted((a, b) => a - b);
}

test("the input is fed block by block, and a feeder that takes over begins behind what is done", async () => {
  const batchId = await startBatch(redis, files, "m", chatLines(10));
  const feed = await feedOf(batchId);
  await feed.fill(BOUNDS);
  expect(takeAll(feed)).toEqual([0, 1, 2, 3]);
  expect(await readFeedCursor(redis, batchId)).toBeNull();
  await feedLines(
    redis,
    batchId,
    [0, 1, 2, 3].map((index) => fedLine(index)),
  );
  await feed.settle();
  expect(await readFeedCursor(redis, batchId)).toMatchObject({ index: 4, blocks: 1 });

  const next = await feedOf(batchId);
  await next.fill(BOUNDS);
  expect(takeAll(next)).toEqual([4, 5, 6, 7]);
});

test("of a block that was begun the rest is fed: no line that is a job, waits for its next try, or has ended", async () => {
  const batchId = await startBatch(redis, files, "m", chatLines(8));
  await feedLines(redis, batchId, [fedLine(1)]);
  await endLines(redis, batchId, "failed", [unfedLine(2)], 4_000);
  await redis.zadd(lineRetriesKey(batchId), Date.now() + 60_000, 3);
  const feed = await feedOf(batchId);
  await feed.fill(BOUNDS);
  feed.take();
  feed.drop();
  await feed.fill(BOUNDS);
  expect(takeAll(feed)).toEqual([0]);
  await feedLines(redis, batchId, [fedLine(0)]);
  await feed.settle();
  // Blocks that are done are passed over.
  await feedLines(
    redis,
    batchId,
    [4, 5, 6, 7].map((index) => fedLine(index)),
  );
  await feed.fill(BOUNDS);
  expect(feed.hasLine).toBe(false);
  expect(await readFeedCursor(redis, batchId)).toMatchObject({ index: 8 });
});

test("one that is paused has nothing in hand", async () => {
  const batchId = await startBatch(redis, files, "m", chatLines(3));
  const feed = await feedOf(batchId);
  await feed.fill(BOUNDS);
  await pauseBatch(redis, batchId, "pause", Date.now());
  feed.see(await stateOf(batchId));
  expect(feed.hasLine).toBe(false);
  await feed.fill(BOUNDS);
  expect(feed.hasLine).toBe(false);
  await pauseBatch(redis, batchId, "resume", Date.now());
  feed.see(await stateOf(batchId));
  await feed.fill(BOUNDS);
  expect(takeAll(feed)).toEqual([0, 1, 2]);
});

test("a line to be fed again that nobody knows the place of is found by a look through the input", async () => {
  const batchId = await startBatch(redis, files, "m", chatLines(3));
  await endLines(redis, batchId, "failed", [unfedLine(0), unfedLine(1)], 4_000);
  const feed = await feedOf(batchId);
  await redis.zadd(lineRetriesKey(batchId), 1, 2);
  feed.see(await stateOf(batchId));
  await feed.fill(BOUNDS);
  expect(takeAll(feed)).toEqual([2]);
});

test("while many lines wait for their next try, no others are fed", async () => {
  const batchId = await startBatch(redis, files, "m", chatLines(3));
  const later = Date.now() + 60_000;
  await redis.zadd(
    lineRetriesKey(batchId),
    ...Array.from({ length: 1_000 }, (_, at) => [later, at + 5_000]).flat(),
  );
  const feed = await feedOf(batchId);
  await feed.fill(BOUNDS);
  expect(feed.hasLine).toBe(false);
});
