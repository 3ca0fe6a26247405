import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { FileRecord } from "../contract/file.ts";
import { DUE_FILES_KEY, fileIndexKey, fileRecordKey } from "../contract/names.ts";
import { newFileId } from "../files/file-id.ts";
import { connectRedis } from "./connect.ts";
import { redisNowMs } from "./deadlines.ts";
import {
  createFileRecord,
  deleteFileRecord,
  dueFiles,
  forgetFile,
  listFileRecords,
  readFileRecord,
  reserveFile,
} from "./file-records.ts";

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
beforeEach(() => redis.flushall());

const HOUR_MS = 3_600_000;

function newRecord(changes: Partial<FileRecord> = {}): FileRecord {
  return {
    id: newFileId(),
    tenant: "default",
    purpose: "batch",
    filename: "requests.jsonl",
    bytes: 12,
    createdAtMs: Date.now(),
    expiresAtMs: null,
    status: "uploaded",
    ...changes,
  };
}

async function created(changes: Partial<FileRecord> = {}): Promise<FileRecord> {
  const record = newRecord(changes);
  await reserveFile(redis, record, (await redisNowMs(redis)) + HOUR_MS);
  expect(await createFileRecord(redis, record)).toBe(true);
  return record;
}

const due = (nowMs: number) => dueFiles(redis, nowMs, 100);
const listed = async (query: Partial<Parameters<typeof listFileRecords>[1]> = {}) =>
  await listFileRecords(redis, {
    tenant: "default",
    limit: 10,
    order: "desc",
    after: null,
    matches: () => true,
    ...query,
  });

test("a file is due while it is written, and nobody sees it", async () => {
  const record = newRecord({ tenant: "with spaces and {braces}" });
  const untilMs = (await redisNowMs(redis)) + HOUR_MS;
  expect(await reserveFile(redis, record, untilMs)).toBe(true);
  expect(await due(untilMs)).toEqual([]);
  expect(await due(untilMs + 1)).toEqual([{ id: record.id, tenant: record.tenant }]);
  expect(await readFileRecord(redis, record.id)).toBeNull();
  expect((await listed({ tenant: record.tenant })).records).toEqual([]);

  expect(await createFileRecord(redis, record)).toBe(true);
  expect(await createFileRecord(redis, record)).toBe(true);
  expect(await readFileRecord(redis, record.id)).toEqual(record);
  expect(await redis.pttl(fileRecordKey(record.id))).toBe(-1);
  expect((await listed({ tenant: record.tenant })).records).toEqual([record]);
  expect(await due(untilMs + 1)).toEqual([]);
});

test("no record is created once the reservation has lapsed", async () => {
  const record = newRecord();
  await reserveFile(redis, record, (await redisNowMs(redis)) + 1);
  await expect.poll(() => redis.exists(fileRecordKey(record.id))).toBe(0);
  expect(await createFileRecord(redis, record)).toBe(false);
  expect(await readFileRecord(redis, record.id)).toBeNull();
  expect((await listed()).records).toEqual([]);
  expect(await due((await redisNowMs(redis)) + 1)).toHaveLength(1);
});

test("a file that has its record can't be reserved again", async () => {
  const record = await created();
  expect(await reserveFile(redis, record, Date.now() + HOUR_MS)).toBe(false);
  expect(await readFileRecord(redis, record.id)).toEqual(record);
});

test("a file that expires is due then", async () => {
  const expiresAtMs = Date.now() + 5_000;
  const record = await created({ expiresAtMs });
  expect(await due(expiresAtMs)).toEqual([]);
  expect(await due(expiresAtMs + 1)).toEqual([{ id: record.id, tenant: "default" }]);
});

test("a deleted file is due until its content is removed too", async () => {
  const record = await created();
  const nowMs = await redisNowMs(redis);
  await deleteFileRecord(redis, record, nowMs);
  expect(await readFileRecord(redis, record.id)).toBeNull();
  expect(await redis.zcard(fileIndexKey("default"))).toBe(0);
  expect(await due(nowMs + HOUR_MS)).toHaveLength(1);
  await forgetFile(redis, record);
  expect(await redis.exists(DUE_FILES_KEY)).toBe(0);
});

test("lists by creation, in pages, by purpose, without those of others", async () => {
  const ours: FileRecord[] = [];
  for (let file = 0; file < 5; file += 1) {
    ours.push(await created({ purpose: file % 2 === 0 ? "batch" : "batch_output" }));
  }
  await created({ tenant: "another" });
  const oldest = ours.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  expect(await listed()).toEqual({ records: oldest.toReversed(), hasMore: false });
  expect(await listed({ order: "asc", limit: 2 })).toEqual({ records: oldest.slice(0, 2), hasMore: true });
  expect(await listed({ order: "asc", limit: 3, after: oldest[1]?.id ?? null })).toEqual({
    records: oldest.slice(2),
    hasMore: false,
  });
  const outputs = await listed({ matches: ({ purpose }) => purpose === "batch_output" });
  expect(outputs.records).toHaveLength(2);
});
