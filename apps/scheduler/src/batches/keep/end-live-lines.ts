import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { CANCEL_CHANNEL } from "@quern/shared/contract/names";
import { type LiveLine, readLiveLines } from "@quern/shared/redis/batch-lines";
import { expireQueuedJob, redisNowMs } from "@quern/shared/redis/deadlines";
import { cancelJob, giveUpAttempt } from "@quern/shared/redis/job-store";
import type { Collector } from "./collect.ts";
import type { Keeping } from "./keeping.ts";
import { mendLines } from "./mend-lines.ts";

const LOOK_INTERVAL_MS = 200;
/** Word to a worker may get lost. */
const ASK_INTERVAL_MS = 2_000;
const MEND_INTERVAL_MS = 5_000;
/** A worker's lease lapses after 30 s; by then another one would have taken the line over, if there were one. */
const UNLEASED_PATIENCE_MS = 45_000;
/** More than a model's window holds; others have their turn when these have ended. */
const PAGE_LINES = 1_000;
/** A line leaves no record. */
const NOT_KEPT = { retentionSeconds: 1 };

/** `run_out`: the lines may come to their own end, as long as the batch's window lasts. */
export type WayOut = "cancel" | "expire" | "run_out";

/** Sees to it that no line of the batch is a job any more, and collects what they have come to. */
export async function endLiveLines(
  keeping: Keeping,
  record: BatchRecord,
  collector: Collector,
  way: WayOut,
): Promise<void> {
  const { redis, batchId, signal } = keeping;
  const beganMs = performance.now();
  let [askAtMs, mendAtMs] = [beganMs, beganMs + MEND_INTERVAL_MS];
  for (;;) {
    const live = await readLiveLines(redis, batchId, PAGE_LINES);
    await collector.collectAll();
    if (live.length === 0) return;
    if (performance.now() >= askAtMs) {
      await askToEnd(keeping, record, live, way);
      askAtMs = performance.now() + ASK_INTERVAL_MS;
      continue;
    }
    if (performance.now() >= mendAtMs) {
      await mend(keeping, performance.now() - beganMs);
      mendAtMs = performance.now() + MEND_INTERVAL_MS;
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
  }
}

/** Queued lines end at once; those that run are stopped by their workers: at their deadline, or when they are told. */
async function askToEnd(
  { redis, references }: Keeping,
  { model, expiresAtMs }: BatchRecord,
  live: readonly LiveLine[],
  way: WayOut,
): Promise<void> {
  const isDue = (await redisNowMs(redis)) >= expiresAtMs;
  if (way === "run_out" && !isDue) return;
  await Promise.all(
    live.map(async ({ jobId }) => {
      const outcome =
        way === "cancel"
          ? await cancelJob(redis, jobId, NOT_KEPT, Date.now())
          : (await expireQueuedJob(redis, jobId, NOT_KEPT)).kind;
      if (outcome === "asked") await redis.publish(CANCEL_CHANNEL, jobId);
      if (outcome === "cancelled" || outcome === "expired") {
        await references.remove({ id: jobId, model: model ?? "", class: "batch" });
      }
    }),
  );
}

/** Where no worker is left, an attempt that nobody makes any more is given up, so that its line can end. */
async function mend(keeping: Keeping, stoppingForMs: number): Promise<void> {
  const unleased = await mendLines(keeping);
  if (stoppingForMs < UNLEASED_PATIENCE_MS) return;
  for (const attempt of unleased) await giveUpAttempt(keeping.redis, attempt, "given_back", Date.now());
}
