import { setTimeout as sleep } from "node:timers/promises";
import { batchIndexKey, batchKey, jobIndexKey, jobKey } from "@quern/shared/contract/names";
import type { TimedLock } from "@quern/shared/redis/timed-lock";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../events.ts";
import { tenantsOf } from "../sweep/live-pages.ts";
import { PAGE_IDS, type RecordIndex, trimPage } from "./trim-page.ts";

/** How long a scheduler that vanished keeps the others from trimming. */
export const INDEX_TRIMMER_LOCK_TTL_MS = 10_000;

/** Pauses of a trimmer. */
export interface TrimmerPace {
  /** Between two pages: 1,000 ids a second, so a million ids are looked at within 17 minutes. */
  pageMs: number;
  /** Between two pages where many ids were removed: up to 20,000 ids a second, for an index that was left to grow. */
  busyPageMs: number;
  /** Between two walks, and between two tries to become the scheduler that trims. */
  walkMs: number;
}
const PACE: TrimmerPace = { pageMs: 1_000, busyPageMs: 50, walkMs: 5_000 };
/** A page is busy from this share of removed ids on. */
const BUSY_SHARE = 1 / 4;

/**
 * Keeps the lists of jobs and batches as long as what they list. Records expire by themselves, at times that differ by class and by
 * gateway; their ids in the lists do not. It walks through each list, a page at a time, and removes ids without a record.
 *
 * Other lists need no such walk: a file's id is removed with its record (`redis/file-records.ts`), and a response is a job.
 *
 * One of all schedulers trims at a time, to save work: everything here may be done twice.
 */
export class IndexTrimmer {
  readonly #redis: Redis;
  readonly #lock: TimedLock;
  readonly #events: Pick<SchedulerEvents, "indexTrimmed" | "redisError">;
  readonly #pace: TrimmerPace;

  constructor(
    redis: Redis,
    lock: TimedLock,
    events: Pick<SchedulerEvents, "indexTrimmed" | "redisError">,
    pace: TrimmerPace = PACE,
  ) {
    this.#redis = redis;
    this.#lock = lock;
    this.#events = events;
    this.#pace = pace;
  }

  /** Resolves when `stop` is aborted and the page that was begun is done. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        if (await this.#lock.hold()) await this.#walk(stop);
      } catch (error) {
        this.#events.redisError(error as Error);
      }
      await this.#pause(this.#pace.walkMs, stop);
    }
    await this.#lock.release().catch(this.#events.redisError);
  }

  async #walk(stop: AbortSignal): Promise<void> {
    for await (const tenant of tenantsOf(this.#redis)) {
      await this.#trim("jobs", { indexKey: jobIndexKey(tenant), recordKeyOf: jobKey }, stop);
      await this.#trim("batches", { indexKey: batchIndexKey(tenant), recordKeyOf: batchKey }, stop);
    }
  }

  async #trim(what: "jobs" | "batches", index: RecordIndex, stop: AbortSignal): Promise<void> {
    let removed = 0;
    let afterId: string | null = null;
    while (!stop.aborted && (await this.#lock.hold())) {
      const page = await trimPage(this.#redis, index, afterId);
      removed += page.removed;
      afterId = page.lastId;
      if (afterId === null) break;
      const isBusy = page.removed >= PAGE_IDS * BUSY_SHARE;
      await this.#pause(isBusy ? this.#pace.busyPageMs : this.#pace.pageMs, stop);
    }
    if (removed > 0) this.#events.indexTrimmed(what, removed);
  }

  async #pause(ms: number, stop: AbortSignal): Promise<void> {
    await sleep(ms, undefined, { signal: stop }).catch(() => {});
  }
}
