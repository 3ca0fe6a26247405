import type { BatchRecord } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { QuernError } from "@quern/shared/contract/errors";
import { fileKey } from "@quern/shared/files/file-key";
import type { FileStore } from "@quern/shared/files/file-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { createFileRecord, reserveFile } from "@quern/shared/redis/file-records";
import type { Redis } from "ioredis";
import { pickLines, readFailedLines } from "./failed-lines.ts";

/** Longer than writing any input takes. */
const WRITING_MS = 3_600_000;
/** Nobody uploaded it, so nobody may think of deleting it: it goes by itself. */
const KEPT_MS = 30 * 86_400_000;

/** A batch whose failed lines can be repeated. */
export type RetryableBatch = BatchRecord & { errorFileId: string };

/** @throws QuernError `batch_not_retryable` */
export function refuseUnlessRetryable(batch: BatchRecord): asserts batch is RetryableBatch {
  if (!isBatchOver(batch.status)) {
    throw notRetryable(batch, `is ${batch.status}: wait for its end, or cancel it first`);
  }
  if (batch.errorFileId !== null) return;
  throw notRetryable(
    batch,
    batch.status === "failed" && batch.total === 0
      ? "was refused for its input: correct what `errors` names, and submit it as a new batch"
      : "has no failed lines",
  );
}

/**
 * Writes the lines of a batch that failed to an input file of their own, streaming. Done again under the same id it changes nothing.
 * @throws QuernError `batch_not_retryable` when the batch's input or error file is gone, `file_store_full`, `file_store_unavailable`.
 */
export async function writeRetryInput(
  { redis, fileStore }: { redis: Redis; fileStore: FileStore },
  batch: RetryableBatch,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { tenant, inputFileId, errorFileId } = batch;
  const inputKey = fileKey({ tenant, id: inputFileId });
  if ((await fileStore.size(inputKey)) === null) throw fileGone(batch, "input", inputFileId);
  if ((await fileStore.size(fileKey({ tenant, id: errorFileId }))) === null) {
    throw fileGone(batch, "error", errorFileId);
  }
  const file = { tenant, id };
  const nowMs = await redisNowMs(redis);
  if (!(await reserveFile(redis, file, nowMs + WRITING_MS))) return;
  const failed = await readFailedLines(fileStore, batch, errorFileId);
  const { bytes } = await fileStore.write(fileKey(file), pickLines(fileStore.read(inputKey), failed), signal);
  const created = await createFileRecord(redis, {
    ...file,
    purpose: "batch",
    filename: `${batch.id}-failed.jsonl`,
    bytes,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + KEPT_MS,
    status: "processed",
  });
  if (!created) throw new Error("writing an input took longer than it was reserved for");
}

function fileGone(batch: BatchRecord, which: "input" | "error", fileId: string): QuernError {
  return notRetryable(
    batch,
    `can't be repeated: its ${which} file ${fileId} was deleted or has expired; submit the lines as a new batch`,
  );
}

function notRetryable({ id }: BatchRecord, why: string): QuernError {
  return new QuernError("batch_not_retryable", `the batch ${id} ${why}`);
}
