import type { Redis } from "ioredis";
import { type FileRecord, type FileRef, fileRecordSchema } from "../contract/file.ts";
import { DUE_FILES_KEY, fileIndexKey, fileRecordKey } from "../contract/names.ts";
import { readIndexPage } from "./index-page.ts";
import { loadScript, runScript } from "./script.ts";

/**
 * What is known of files. Their contents are elsewhere, and no transaction spans both, so whatever may need clearing away stands
 * among the due files from before its first byte is written until its last is removed:
 *
 *   reserved   due when the reservation lapses: then nobody writes it any more, and what was written goes
 *   created    due when it expires, if it does, and later where a batch still reads it
 *   deleted    due soon, should its deleter die on the way
 *
 * A record without a place in its tenant's list, left by a creator that died in between, is due too, and mended then.
 */
const RESERVE = loadScript("reserve_file.lua");
const CREATE = loadScript("create_file_record.lua");

/** How long a deleter may take, before somebody else goes on with it. */
const DELETING_MS = 60_000;

/**
 * Before the content of a file is written, and again before `untilMs` (of Redis' clock) when that takes longer.
 * False: it has its record already.
 */
export async function reserveFile(redis: Redis, file: FileRef, untilMs: number): Promise<boolean> {
  await redis.zadd(DUE_FILES_KEY, untilMs, dueMember(file));
  return (await runScript(redis, RESERVE, [fileRecordKey(file.id)], [Math.ceil(untilMs)])) === 1;
}

/**
 * When its content is whole. May be repeated. False: its reservation has lapsed, so its content may be gone, and is to be removed
 * (`files/erase-file.ts`).
 */
export async function createFileRecord(redis: Redis, record: FileRecord): Promise<boolean> {
  const created = await runScript(redis, CREATE, [fileRecordKey(record.id)], [JSON.stringify(record)]);
  if (created !== 1) return false;
  await listFile(redis, record);
  return true;
}

/** The second half of creating a record: its place in the list, and when it is due. */
export async function listFile(redis: Redis, record: FileRecord): Promise<void> {
  await redis.zadd(fileIndexKey(record.tenant), 0, record.id);
  if (record.expiresAtMs === null) await redis.zrem(DUE_FILES_KEY, dueMember(record));
  else await redis.zadd(DUE_FILES_KEY, record.expiresAtMs, dueMember(record));
}

/** null: there is none, or its content is still being written. */
export async function readFileRecord(redis: Redis, id: string): Promise<FileRecord | null> {
  return parseRecord(await redis.get(fileRecordKey(id)));
}

export interface FileListQuery {
  tenant: string;
  limit: number;
  order: "asc" | "desc";
  /** Begin after this file id; null: at the newest (`desc`) or oldest (`asc`). */
  after: string | null;
  matches: (record: FileRecord) => boolean;
}

/** A page of a tenant's files, by creation. */
export async function listFileRecords(
  redis: Redis,
  { tenant, matches, ...page }: FileListQuery,
): Promise<{ records: FileRecord[]; hasMore: boolean }> {
  // Unbounded: OpenAI's client takes an empty page for the last one. Files are few beside jobs, and nearly all of them match.
  const query = { ...page, indexKey: fileIndexKey(tenant), maxScannedIds: Number.POSITIVE_INFINITY };
  const { found, hasMore } = await readIndexPage(redis, query, (ids) => readRecords(redis, ids), matches);
  return { records: found.map(({ item }) => item), hasMore };
}

/** `nowMs` of Redis' clock. Its content is to be removed next, and `forgetFile` called last. */
export async function deleteFileRecord(redis: Redis, file: FileRef, nowMs: number): Promise<void> {
  await redis.zadd(DUE_FILES_KEY, nowMs + DELETING_MS, dueMember(file));
  await redis.del(fileRecordKey(file.id));
  await redis.zrem(fileIndexKey(file.tenant), file.id);
}

/** Nothing is left of it. */
export async function forgetFile(redis: Redis, file: FileRef): Promise<void> {
  await redis.zrem(DUE_FILES_KEY, dueMember(file));
}

/** It is not to be seen to before `untilMs`. */
export async function postponeFile(redis: Redis, file: FileRef, untilMs: number): Promise<void> {
  await redis.zadd(DUE_FILES_KEY, "XX", untilMs, dueMember(file));
}

/** Files that have to be seen to, the longest due first; `nowMs` of Redis' clock. */
export async function dueFiles(redis: Redis, nowMs: number, limit: number): Promise<FileRef[]> {
  const members = await redis.zrange(DUE_FILES_KEY, "-inf", `(${nowMs}`, "BYSCORE", "LIMIT", 0, limit);
  return members.map((member) => {
    const space = member.indexOf(" ");
    return { id: member.slice(0, space), tenant: member.slice(space + 1) };
  });
}

function dueMember({ id, tenant }: FileRef): string {
  return `${id} ${tenant}`;
}

async function readRecords(redis: Redis, ids: readonly string[]): Promise<(FileRecord | null)[]> {
  if (ids.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.get(fileRecordKey(id));
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, json]) => {
    if (error) throw error;
    return parseRecord(json as string | null);
  });
}

function parseRecord(json: string | null): FileRecord | null {
  return json === null || json === "" ? null : fileRecordSchema.parse(JSON.parse(json));
}
