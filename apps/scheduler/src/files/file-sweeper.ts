import { setTimeout as sleep } from "node:timers/promises";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { TimedLock } from "@quern/shared/redis/timed-lock";
import { type FileSweepContext, sweepDueFiles } from "./sweep-due-files.ts";

/** Between two looks at what is due, and between two tries to become the one that looks. */
const ROUND_INTERVAL_MS = 5_000;
/** Between two looks for leftovers, each of which lists the uploads under way. */
const LEFTOVERS_INTERVAL_MS = 600_000;
/** Longer than a caller may be silent (the gateway's QUERN_BODY_TIMEOUT_SECONDS, 600 s at most), many times over. */
const LEFTOVER_SILENT_MS = 3_600_000;

/** How long a scheduler that vanished keeps the others from removing files; a large one takes a while. */
export const FILE_SWEEPER_LOCK_TTL_MS = 60_000;

/** Removes files whose time is over. One of all schedulers does it at a time, to save work: everything here may be done twice. */
export class FileSweeper {
  readonly #context: FileSweepContext;
  readonly #lock: TimedLock;
  #leftoversAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: FileSweepContext, lock: TimedLock) {
    this.#context = context;
    this.#lock = lock;
  }

  /** Resolves when `stop` is aborted and what was begun is done. */
  async run(stop: AbortSignal): Promise<void> {
    const { events } = this.#context;
    while (!stop.aborted) {
      try {
        if (await this.#lock.hold()) await this.#round();
      } catch (error) {
        if (isRedisAway(error)) events.redisError(error as Error);
        else events.fileSweepBroke(null, error as Error);
      }
      await sleep(ROUND_INTERVAL_MS, undefined, { signal: stop }).catch(() => {});
    }
    await this.#lock.release().catch(events.redisError);
  }

  async #round(): Promise<void> {
    await sweepDueFiles(this.#context);
    if (performance.now() - this.#leftoversAtMs < LEFTOVERS_INTERVAL_MS) return;
    this.#leftoversAtMs = performance.now();
    const removed = await this.#context.store.removeLeftovers(LEFTOVER_SILENT_MS);
    if (removed > 0) this.#context.events.leftoversRemoved(removed);
  }
}
