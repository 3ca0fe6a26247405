import { QuernError } from "@quern/shared/contract/errors";
import { type FileRecord, isFileId } from "@quern/shared/contract/file";
import { readFileRecord } from "@quern/shared/redis/file-records";
import type { Redis } from "ioredis";
import type { Caller } from "../auth/authenticate.ts";

/** @throws QuernError `file_not_found`, also for a file of another tenant: that it exists is not theirs to know. */
export async function findFile(redis: Redis, { tenant }: Caller, id: string): Promise<FileRecord> {
  const record = isFileId(id) ? await readFileRecord(redis, id) : null;
  if (record === null || record.tenant !== tenant) {
    throw new QuernError("file_not_found", `there is no file '${id}', or no longer`);
  }
  return record;
}
