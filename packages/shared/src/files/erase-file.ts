import type { Redis } from "ioredis";
import type { FileRef } from "../contract/file.ts";
import { redisNowMs } from "../redis/deadlines.ts";
import { deleteFileRecord, forgetFile } from "../redis/file-records.ts";
import { fileKey } from "./file-key.ts";
import type { FileStore } from "./file-store.ts";

/**
 * Removes all there is of a file, whole or half written: its record first, so that nobody is promised a content that is gone. Cut off on the way it is
 * finished by the scheduler (`redis/file-records.ts`), and may be repeated.
 */
export async function eraseFile(redis: Redis, store: FileStore, file: FileRef): Promise<void> {
  await deleteFileRecord(redis, file, await redisNowMs(redis));
  const key = fileKey(file);
  await store.remove(key);
  await store.removeSegments(key);
  await forgetFile(redis, file);
}
