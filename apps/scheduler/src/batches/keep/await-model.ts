import { setTimeout as sleep } from "node:timers/promises";
import { readBatch } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { findModel } from "../validate/model-choice.ts";
import { type Keeping, KeepingRests } from "./keeping.ts";

/** The longest delay before a model that a worker brings, a cancel or the end of the window is noticed. */
const MAX_LOOK_INTERVAL_MS = 2_000;
const FIRST_LOOK_INTERVAL_MS = 200;

/**
 * Whether a worker may still bring a model that no worker ever served. The first workers of a new cluster load their models
 * for different times. A model that was served before is known, also while its worker restarts.
 */
export async function mayModelCome({ fleet, modelWaitMs }: Keeping): Promise<boolean> {
  const { workers } = await fleet.all();
  // Both times are of the worker's own clock.
  return workers.every(({ startedAtMs, lastSeenAtMs }) => lastSeenAtMs - startedAtMs < modelWaitMs);
}

/** Waits until the model is known, or won't come any more, or the batch is no longer to be validated. @throws KeepingRests */
export async function awaitModel(keeping: Keeping, name: string): Promise<void> {
  const { batchId, fleet, signal, isCrowded } = keeping;
  for (
    let intervalMs = FIRST_LOOK_INTERVAL_MS;
    ;
    intervalMs = Math.min(2 * intervalMs, MAX_LOOK_INTERVAL_MS)
  ) {
    signal.throwIfAborted();
    const { models } = await fleet.all();
    if (findModel(name, models) !== undefined || !(await mayModelCome(keeping))) return;
    if (!(await isWanted(keeping))) return;
    if (isCrowded()) throw new KeepingRests(`batch ${batchId}`);
    await sleep(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** Whether the batch is still to be validated: false when it was cancelled, or its window has ended. */
export async function isWanted({ redis, batchId }: Keeping): Promise<boolean> {
  const now = await readBatch(redis, batchId);
  return now?.status === "validating" && (await redisNowMs(redis)) < now.expiresAtMs;
}
