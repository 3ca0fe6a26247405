import type { BatchRecord } from "@quern/shared/contract/batch";
import { fileKey } from "@quern/shared/files/file-key";
import type { Segment } from "@quern/shared/files/file-store";
import type { BatchChanges } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { createFileRecord, reserveFile } from "@quern/shared/redis/file-records";
import type { CollectedFiles } from "./collected-files.ts";
import type { Keeping } from "./keeping.ts";

/** Longer than it takes to join the largest file. */
const RESERVATION_MS = 6 * 3_600_000;

/**
 * Makes files of what was collected; one that would be empty is none. Done again it changes nothing.
 * @returns the ids of those that there are.
 */
export async function closeFiles(
  keeping: Keeping,
  record: BatchRecord,
  { outputFileId, output, errorFileId, errors }: CollectedFiles["kept"],
): Promise<Pick<BatchChanges, "outputFileId" | "errorFileId">> {
  const close = async (id: string, segments: readonly Segment[], role: string) => {
    if (segments.every(({ bytes }) => bytes === 0)) return false;
    await closeFile(keeping, record, id, segments, `${record.id}_${role}.jsonl`);
    return true;
  };
  const [answered, failed] = [
    await close(outputFileId, output, "output"),
    await close(errorFileId, errors, "error"),
  ];
  return { ...(answered ? { outputFileId } : {}), ...(failed ? { errorFileId } : {}) };
}

async function closeFile(
  { redis, files, signal }: Keeping,
  { tenant, outputExpiresAfterSeconds }: BatchRecord,
  id: string,
  segments: readonly Segment[],
  filename: string,
): Promise<void> {
  const nowMs = await redisNowMs(redis);
  // Not reserved: it has its record since an earlier time.
  if (!(await reserveFile(redis, { tenant, id }, nowMs + RESERVATION_MS))) return;
  const { bytes } = await files.assemble(fileKey({ tenant, id }), segments, signal);
  const createdAtMs = await redisNowMs(redis);
  const created = await createFileRecord(redis, {
    id,
    tenant,
    purpose: "batch_output",
    filename,
    bytes,
    createdAtMs,
    expiresAtMs: outputExpiresAfterSeconds === null ? null : createdAtMs + outputExpiresAfterSeconds * 1_000,
    status: "processed",
  });
  if (!created) throw new Error(`the file ${id} was not joined within its reservation`);
}
