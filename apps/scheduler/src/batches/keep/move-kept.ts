import type { BatchEvent } from "@quern/shared/contract/batch-lifecycle";
import { announceBatch, type BatchChanges, moveBatch } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { type Keeping, KeepingLost } from "./keeping.ts";

/** Moves the batch on as its keeper, and tells the others. Nothing happens in a status that the event leads nowhere from. @throws KeepingLost */
export async function moveKept(
  { redis, batchId, epoch, events }: Keeping,
  event: BatchEvent,
  changes: BatchChanges = {},
): Promise<void> {
  const moved = await moveBatch(redis, batchId, event, epoch, await redisNowMs(redis), changes);
  if (moved.kind === "fenced" || moved.kind === "gone") throw new KeepingLost(`batch ${batchId}`);
  if (moved.kind === "ignored") return;
  if (event !== "model_awaited") events.batchMoved(batchId, moved.status);
  await announceBatch(redis, batchId);
}
