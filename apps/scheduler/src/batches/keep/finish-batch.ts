import type { BatchRecord } from "@quern/shared/contract/batch";
import type { BatchChanges } from "@quern/shared/redis/batch-store";
import { type EndOfBatch, readEndOfBatch, saveProgress } from "@quern/shared/redis/batch-store";
import { closeFiles } from "./close-files.ts";
import { Collector } from "./collect.ts";
import { CollectedFiles } from "./collected-files.ts";
import { endLiveLines, type WayOut } from "./end-live-lines.ts";
import { endUnfedLines } from "./end-unfed-lines.ts";
import { inputLostFault, isInputLost } from "./input-lines.ts";
import type { Keeping } from "./keeping.ts";
import { moveKept } from "./move-kept.ts";
import { writeCopies } from "./write-copies.ts";

/** What happens to the lines of a batch that ends with it. */
const WAYS_OUT: Record<EndOfBatch | "cancelled", WayOut> = {
  completed: "run_out",
  expired: "expire",
  cancelled: "cancel",
  rejected: "run_out",
};

/** Brings every line to its end and all of them into files; then the batch is over. */
export async function finishBatch(keeping: Keeping, record: BatchRecord): Promise<void> {
  const { redis, batchId } = keeping;
  const end = record.status === "cancelling" ? "cancelled" : await readEndOfBatch(redis, batchId);
  await using files = await CollectedFiles.open(keeping, record);
  const collector = new Collector(keeping, record, files);
  await endLiveLines(keeping, record, collector, WAYS_OUT[end]);
  const input = await endRest(keeping, record, collector, files, end);
  // The fence, before what can't be told from its repetition.
  await files.append([]);
  const changes: BatchChanges = await closeFiles(keeping, record, files.kept);
  const { progress } = record;
  // It is no longer of interest when it would have ended.
  if (progress !== null) await saveProgress(redis, batchId, { ...progress, endAtMs: null });
  if (input === "there") return await moveKept(keeping, end, changes);
  const errors = [inputLostFault(record)];
  await moveKept(keeping, end === "cancelled" ? end : "rejected", { ...changes, errors });
}

/** What of it needs the input. */
async function endRest(
  keeping: Keeping,
  record: BatchRecord,
  collector: Collector,
  files: CollectedFiles,
  end: EndOfBatch | "cancelled",
): Promise<"there" | "lost"> {
  const isCutShort = end === "cancelled" || end === "expired";
  try {
    if (isCutShort && record.total > 0) await endUnfedLines(keeping, record, collector, end);
    await writeCopies(keeping, record, files);
    return "there";
  } catch (error) {
    if (!isInputLost(error)) throw error;
    return "lost";
  }
}
