import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FileRecord } from "@quern/shared/contract/file";
import { DUE_FILES_KEY, fileIndexKey } from "@quern/shared/contract/names";
import { DirectoryStore } from "@quern/shared/files/directory-store";
import { newFileId } from "@quern/shared/files/file-id";
import { fileKey } from "@quern/shared/files/file-key";
import { createBatch, moveBatch } from "@quern/shared/redis/batch-store";
import { connectRedis } from "@quern/shared/redis/connect";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import {
  createFileRecord,
  deleteFileRecord,
  readFileRecord,
  reserveFile,
} from "@quern/shared/redis/file-records";
import { newBatch } from "@quern/shared/redis/new-batch.fixture";
import { type ClusterProcess, startProcess, stopProcess, until } from "@quern/testing/cluster";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sweepDueFiles } from "./sweep-due-files.ts";

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

let folder: string;
let server: RedisServer;
let redis: Redis;
let store: DirectoryStore;
let told: string[];

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await redis.flushall();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  folder = await mkdtemp(join(tmpdir(), "quern-file-sweep-"));
  store = new DirectoryStore(folder);
  told = [];
});

const events = {
  fileRemoved: (_file: string, why: string) => void told.push(why),
  fileSweepBroke: (_file: string | null, error: Error) => void told.push(error.message),
  leftoversRemoved: () => {},
  redisError: (error: Error) => void told.push(error.message),
};
const sweep = (over = store) => sweepDueFiles({ redis, store: over, events });

async function stored(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Content that is written, and reserved for `reservedMs` from now. */
async function written(reservedMs: number): Promise<{ tenant: string; id: string }> {
  const file = { tenant: "a tenant", id: newFileId() };
  await reserveFile(redis, file, (await redisNowMs(redis)) + reservedMs);
  await store.write(fileKey(file), Readable.from([Buffer.from("content")]), never);
  const growing = await store.grow(fileKey(file), "1", []);
  await growing.append(Buffer.from("more"));
  await growing.close();
  return file;
}

async function created(expiresAtMs: number | null): Promise<FileRecord> {
  const record: FileRecord = {
    ...(await written(HOUR_MS)),
    purpose: "batch",
    filename: "a.jsonl",
    bytes: 7,
    createdAtMs: Date.now(),
    expiresAtMs,
    status: "uploaded",
  };
  expect(await createFileRecord(redis, record)).toBe(true);
  return record;
}

test("what has expired is removed: record, content and segments; the rest stays", async () => {
  const expired = await created((await redisNowMs(redis)) - 1);
  const later = await created((await redisNowMs(redis)) + HOUR_MS);
  const kept = await created(null);
  await sweep();
  expect(told).toEqual(["expired"]);
  expect(await readFileRecord(redis, expired.id)).toBeNull();
  expect((await stored()).filter((name) => name.startsWith("file-")).sort()).toEqual(
    [kept.id, later.id].sort(),
  );
  expect(await redis.zrange(fileIndexKey("a tenant"), "0", "-1")).toEqual([later.id, kept.id].sort());
  expect(await redis.zcard(DUE_FILES_KEY)).toBe(1);
});

test("what a batch still reads stays until the batch is over, and keeps no other", async () => {
  const nowMs = await redisNowMs(redis);
  const input = await created(nowMs - 2_000);
  await created(nowMs - 1_000);
  const batch = newBatch({ inputFileId: input.id });
  await createBatch(redis, batch);
  await sweep();
  expect(told).toEqual(["expired"]);
  expect(await store.size(fileKey(input))).toBe(7);
  expect(await readFileRecord(redis, input.id)).toEqual(input);
  await sweep();
  await moveBatch(redis, batch.id, "rejected", null, nowMs);
  await redis.zadd(DUE_FILES_KEY, 1, `${input.id} a tenant`); // its minute is over
  await sweep();
  expect(await stored()).toEqual([]);
  expect(told).toEqual(["expired", "expired"]);
});

test("what nobody finished to write goes when its reservation has lapsed, and not before", async () => {
  await written(HOUR_MS);
  await written(1);
  await until(async () => {
    await sweep();
    return told.length > 0;
  });
  expect(told).toEqual(["unfinished"]);
  expect((await stored()).filter((name) => name.startsWith("file-"))).toHaveLength(1);
});

test("a deletion that was cut off is finished", async () => {
  const record = await created(null);
  await deleteFileRecord(redis, record, (await redisNowMs(redis)) - HOUR_MS);
  await sweep();
  expect(told).toEqual(["unfinished"]);
  expect(await stored()).toEqual([]);
  expect(await redis.exists(DUE_FILES_KEY)).toBe(0);
});

test("a file whose creator died before it was listed is listed, not removed", async () => {
  const record = await created(null);
  await redis.zrem(fileIndexKey("a tenant"), record.id);
  await redis.zadd(DUE_FILES_KEY, 1, `${record.id} a tenant`);
  await sweep();
  expect(told).toEqual([]);
  expect(await redis.zrange(fileIndexKey("a tenant"), "0", "-1")).toEqual([record.id]);
  expect(await redis.exists(DUE_FILES_KEY)).toBe(0);
  expect(await store.size(fileKey(record))).toBe(7);
});

test("a content that can't be removed is tried again, and keeps no other", async () => {
  const nowMs = await redisNowMs(redis);
  const stuck = await created(nowMs - 2_000);
  await created(nowMs - 1_000);
  const failing = new DirectoryStore(folder);
  failing.remove = async (key) => {
    if (key === fileKey(stuck)) throw new Error("the disk does not answer");
    await store.remove(key);
  };
  await sweep(failing);
  expect(told).toEqual(["the disk does not answer", "expired"]);
  expect(await stored()).toContain(stuck.id);
  await redis.zadd(DUE_FILES_KEY, 1, `${stuck.id} a tenant`); // its minute is over
  await sweep();
  expect(await stored()).toEqual([]);
});

test("a scheduler does it by itself, and removes what broken uploads left", async () => {
  await created((await redisNowMs(redis)) - 1);
  const leftover = join(folder, ".uploads", "half");
  await writeFile(leftover, "half a fi");
  const longAgo = new Date(Date.now() - 2 * HOUR_MS);
  await utimes(leftover, longAgo, longAgo);
  const env = { REDIS_URL: server.url, QUERN_FILES: folder, QUERN_LOG_LEVEL: "info" };
  const scheduler: ClusterProcess = await startProcess("scheduler", env);
  try {
    await until(async () => (await stored()).length === 0);
    await until(async () => scheduler.output().includes("leftovers"));
    expect(scheduler.output()).toMatch(/file removed/);
  } finally {
    await stopProcess(scheduler);
  }
});
