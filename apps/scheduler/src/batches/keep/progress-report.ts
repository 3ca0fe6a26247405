import { readBatch, saveProgress } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { Keeping } from "./keeping.ts";
import { ProgressMeter } from "./progress-meter.ts";

const REPORT_INTERVAL_MS = 1_000;

/** Writes down how fast a batch goes, about once a second, for everybody who looks at it. */
export class ProgressReport {
  readonly #keeping: Keeping;
  readonly #meter = new ProgressMeter();
  #dueAtMs = 0;
  #saved = "";

  constructor(keeping: Keeping) {
    this.#keeping = keeping;
  }

  async look(): Promise<void> {
    if (performance.now() < this.#dueAtMs) return;
    this.#dueAtMs = performance.now() + REPORT_INTERVAL_MS;
    const { redis, batchId } = this.#keeping;
    const record = await readBatch(redis, batchId);
    if (record === null) return;
    const { total, completed, failed, usage, pausedAtMs } = record;
    const progress = this.#meter.add({
      atMs: await redisNowMs(redis),
      ended: completed + failed,
      outputTokens: usage.completionTokens,
      total,
      isPaused: pausedAtMs !== null,
    });
    if (progress === null) return;
    const { measuredAtMs: _, ...told } = progress;
    // While nothing moves, one that is told again would only be newer.
    if (JSON.stringify(told) === this.#saved) return;
    this.#saved = JSON.stringify(told);
    await saveProgress(redis, batchId, progress);
  }
}
