import type { BatchRecord } from "@quern/shared/contract/batch";
import type { BatchStatus } from "@quern/shared/contract/batch-lifecycle";
import { beginKeeping, readBatch } from "@quern/shared/redis/batch-store";
import { concludeBatch } from "./conclude-batch.ts";
import { finishBatch } from "./finish-batch.ts";
import type { KeepContext, Keeping } from "./keeping.ts";
import { runBatch } from "./run-batch.ts";
import { validateBatch } from "./validate-batch.ts";

/** What is done for a batch in each status; each resolves when it may be in another one. */
const STEPS: Record<BatchStatus, (keeping: Keeping, record: BatchRecord) => Promise<void>> = {
  validating: validateBatch,
  in_progress: runBatch,
  finalizing: finishBatch,
  cancelling: finishBatch,
  completed: concludeBatch,
  failed: concludeBatch,
  expired: concludeBatch,
  cancelled: concludeBatch,
};

/**
 * Sees a batch through, from wherever it stands in Redis to where nothing is left to do. It may be broken off at any
 * moment and begun anew, here or elsewhere.
 * @throws KeepingLost, QuernError of the file store, the signal's reason.
 */
export async function keepBatch(context: KeepContext, batchId: string, signal: AbortSignal): Promise<void> {
  const epoch = await beginKeeping(context.redis, batchId);
  if (epoch === null) return;
  context.events.batchTaken(batchId, epoch);
  const keeping: Keeping = { ...context, batchId, epoch, saves: { count: 0 }, signal };
  for (;;) {
    signal.throwIfAborted();
    const record = await readBatch(context.redis, batchId);
    if (record === null) return;
    const step = STEPS[record.status];
    await step(keeping, record);
    if (step === concludeBatch) return;
  }
}
