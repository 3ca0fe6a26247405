import type { FileRef } from "@quern/shared/contract/file";
import { eraseFile } from "@quern/shared/files/erase-file";
import type { FileStore } from "@quern/shared/files/file-store";
import { liveBatchOfFile } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { dueFiles, listFile, postponeFile, readFileRecord } from "@quern/shared/redis/file-records";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../events.ts";

/** Until an expired file is looked at again that a batch reads. */
const IN_USE_MS = 60_000;
/** Files that one look may remove. */
const PAGE_FILES = 100;

export interface FileSweepContext {
  redis: Redis;
  store: FileStore;
  events: Pick<SchedulerEvents, "fileRemoved" | "fileSweepBroke" | "leftoversRemoved" | "redisError">;
}

/**
 * Sees to the files that are due: removes those that have expired (and no batch reads), that nobody finished to write and that somebody began to delete;
 * lists one whose creator died before it could. May be done twice. One that can't be removed leaves the others to be.
 */
export async function sweepDueFiles(context: FileSweepContext): Promise<void> {
  const nowMs = await redisNowMs(context.redis);
  for (const file of await dueFiles(context.redis, nowMs, PAGE_FILES)) {
    await seeTo(context, file, nowMs).catch((error) =>
      context.events.fileSweepBroke(file.id, error as Error),
    );
  }
}

async function seeTo(
  { redis, store, events }: FileSweepContext,
  file: FileRef,
  nowMs: number,
): Promise<void> {
  const record = await readFileRecord(redis, file.id);
  if (record !== null && (record.expiresAtMs === null || record.expiresAtMs > nowMs)) {
    await listFile(redis, record);
    return;
  }
  // What was accepted is not to fail for want of it.
  if (record !== null && (await liveBatchOfFile(redis, file.id)) !== null) {
    await postponeFile(redis, file, nowMs + IN_USE_MS);
    return;
  }
  await eraseFile(redis, store, file);
  events.fileRemoved(file.id, record === null ? "unfinished" : "expired");
}
