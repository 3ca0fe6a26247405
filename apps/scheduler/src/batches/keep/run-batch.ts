import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { type FeedState, readFeedStates } from "@quern/shared/redis/feed-state";
import { Collector, type Harvest } from "./collect.ts";
import { CollectedFiles } from "./collected-files.ts";
import { inputLostFault, isInputThere } from "./input-lines.ts";
import { type Keeping, KeepingLost, KeepingRests } from "./keeping.ts";
import { mendLines } from "./mend-lines.ts";
import { moveKept } from "./move-kept.ts";
import { ProgressReport } from "./progress-report.ts";

/** So late a line that has ended stands in its file; so late it is seen that the batch is cancelled or due. */
const LOOK_INTERVAL_MS = 200;
/** Where small appends are costly. */
const GATHER_INTERVAL_MS = 3_000;
/** While none of its lines is under way: it is paused, or others have their turn. Many batches may be like that. */
const MAX_IDLE_INTERVAL_MS = 2_000;
const MEND_INTERVAL_MS = 5_000;

/** Collects what the batch's lines come to, until all have ended, or no more are to. @throws KeepingRests, KeepingLost, QuernError of the store. */
export async function runBatch(keeping: Keeping, record: BatchRecord): Promise<void> {
  const { redis, batchId, signal } = keeping;
  await using files = await CollectedFiles.open(keeping, record);
  const collector = new Collector(keeping, record, files);
  const progress = new ProgressReport(keeping);
  let mendAtMs = performance.now() + MEND_INTERVAL_MS;
  let idleMs = LOOK_INTERVAL_MS;
  for (;;) {
    signal.throwIfAborted();
    const harvest = await collector.collect();
    const [state] = await readFeedStates(redis, [batchId]);
    if (state == null) throw new KeepingLost(`batch ${batchId}`);
    if (state.status !== "in_progress") return;
    if (await hasEnded(keeping, record, state)) return;
    await progress.look();
    if (performance.now() >= mendAtMs) {
      await mendLines(keeping);
      if (await isStuckWithoutInput(keeping, record, state)) return;
      mendAtMs = performance.now() + MEND_INTERVAL_MS;
    }
    const isIdle = harvest.kind === "none" && state.live === 0 && state.outbox === 0;
    if (isIdle && idleMs === MAX_IDLE_INTERVAL_MS && keeping.isCrowded()) {
      throw new KeepingRests(`batch ${batchId}`);
    }
    idleMs = isIdle ? Math.min(2 * idleMs, MAX_IDLE_INTERVAL_MS) : LOOK_INTERVAL_MS;
    const pause = isIdle ? idleMs : pauseMs(harvest, state, files);
    await sleep(pause, undefined, { signal }).catch(() => {});
  }
}

/** Whether the batch goes to its end, because its lines have, or its window has. */
async function hasEnded(keeping: Keeping, record: BatchRecord, state: FeedState): Promise<boolean> {
  if (state.ended >= state.total) {
    if (state.outbox > 0) return false;
    await moveKept(keeping, "lines_ended", { endsWith: "completed" });
    return true;
  }
  if ((await redisNowMs(keeping.redis)) < record.expiresAtMs) return false;
  await moveKept(keeping, "due", { endsWith: "expired" });
  return true;
}

/** Nothing is under way, more is to come, and it can't. */
async function isStuckWithoutInput(
  keeping: Keeping,
  record: BatchRecord,
  { live, outbox }: FeedState,
): Promise<boolean> {
  if (live > 0 || outbox > 0 || (await isInputThere(keeping, record))) return false;
  await moveKept(keeping, "input_lost", { endsWith: "rejected", errors: [inputLostFault(record)] });
  return true;
}

function pauseMs(
  { kind, bytes }: Harvest,
  { ended, total }: FeedState,
  { preferredAppendBytes }: CollectedFiles,
): number {
  if (kind === "chunk" || ended >= total) return 0;
  return bytes < preferredAppendBytes ? GATHER_INTERVAL_MS : LOOK_INTERVAL_MS;
}
