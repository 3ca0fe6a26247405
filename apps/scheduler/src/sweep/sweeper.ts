import { setTimeout as sleep } from "node:timers/promises";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { TimedLock } from "@quern/shared/redis/timed-lock";
import type { AskedJobs } from "./asked-jobs.ts";
import { expireDue } from "./expire-due.ts";
import { type LiveEntry, livePages } from "./live-pages.ts";
import { settle } from "./settlement.ts";
import { readStandings } from "./standing.ts";
import { type SweepContext, sweepEntry } from "./sweep-entry.ts";

/** Between two walks through all live jobs, and between two tries to become the one that sweeps. */
const ROUND_INTERVAL_MS = 1_000;
/** Between two pages: at most 2,000 jobs a second are looked at, which takes a few percent of a Redis. */
const PAGE_INTERVAL_MS = 100;
const MAX_BROKEN_TOLD = 10_000;

/**
 * Sees to it that every accepted job gets to its end and what follows from it, whoever died on the way. One of all
 * schedulers does it at a time, to save work: everything here may be done twice.
 *
 *   each second    expire the queued jobs that are due
 *   when asked     settle a job that has just ended
 *   all the time   walk through the live jobs: settle those that ended, mend those that no queue knows
 */
export class Sweeper {
  readonly #context: SweepContext;
  readonly #lock: TimedLock;
  readonly #asked: AskedJobs;
  #state: "standing_by" | "sweeping" = "standing_by";
  #dutiesDoneAtMs = 0;
  /** Jobs that run without a lease and were told of already. */
  #told = new Set<string>();
  /** Jobs that could not be swept and were told of already: each is tried again each round. */
  readonly #broken = new Set<string>();

  constructor(context: SweepContext, lock: TimedLock, asked: AskedJobs) {
    this.#context = context;
    this.#lock = lock;
    this.#asked = asked;
  }

  /** Resolves when `stop` is aborted and what was begun is done. */
  async run(stop: AbortSignal): Promise<void> {
    const { events } = this.#context;
    while (!stop.aborted) {
      try {
        if (await this.#holdsLock()) await this.#round(stop);
        // The one that sweeps has heard of them too.
        else this.#asked.take();
      } catch (error) {
        events.redisError(error as Error);
      }
      await this.#rest(stop);
    }
    await this.#lock.release().catch(events.redisError);
  }

  async #holdsLock(): Promise<boolean> {
    const before = this.#state;
    this.#state = (await this.#lock.hold()) ? "sweeping" : "standing_by";
    if (this.#state === "sweeping" && before !== "sweeping") this.#context.events.sweeping();
    return this.#state === "sweeping";
  }

  async #round(stop: AbortSignal): Promise<void> {
    const unleased = new Set<string>();
    await this.#dueDuties();
    for await (const page of livePages(this.#context.redis)) {
      await this.#sweepPage(page, unleased);
      await sleep(PAGE_INTERVAL_MS, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted || !(await this.#holdsLock())) return;
      await this.#dueDuties();
    }
    this.#told = unleased;
  }

  /** What can't wait for a walk to end, which takes a minute where a hundred thousand jobs live. */
  async #dueDuties(): Promise<void> {
    const { redis, deliveries, events } = this.#context;
    const asked = this.#asked.take();
    await Promise.all(
      asked.map((job) => this.#guarded(job.id, () => settle(redis, deliveries, events, job))),
    );
    if (performance.now() - this.#dutiesDoneAtMs < ROUND_INTERVAL_MS / 2) return;
    this.#dutiesDoneAtMs = performance.now();
    await expireDue(this.#context);
  }

  async #sweepPage(page: LiveEntry[], unleased: Set<string>): Promise<void> {
    const { redis, events } = this.#context;
    const nowMs = await redisNowMs(redis);
    const ids = page.map(({ id }) => id);
    const standings = await readStandings(redis, ids);
    await Promise.all(
      page.map((entry, at) =>
        this.#guarded(entry.id, async () => {
          if ((await sweepEntry(this.#context, entry, standings[at] ?? null, nowMs)) === "seen") return;
          unleased.add(entry.id);
          if (!this.#told.has(entry.id)) events.jobUnleased(entry.id, nowMs - entry.acceptedAtMs);
        }),
      ),
    );
  }

  /** One job that can't be swept leaves the others to be. */
  async #guarded(jobId: string, act: () => Promise<void>): Promise<void> {
    const { events } = this.#context;
    await act().catch((error: Error) => {
      if (isRedisAway(error)) events.redisError(error);
      else if (!this.#broken.has(jobId)) events.sweepBroke(jobId, error);
      if (this.#broken.size < MAX_BROKEN_TOLD) this.#broken.add(jobId);
    });
  }

  /** Until the next round is due, or somebody asks. */
  async #rest(stop: AbortSignal): Promise<void> {
    const rested = new AbortController();
    const asked = this.#state === "sweeping" ? [this.#asked.arrived] : [];
    const pause = sleep(ROUND_INTERVAL_MS, undefined, { signal: AbortSignal.any([stop, rested.signal]) });
    await Promise.race([pause.catch(() => {}), ...asked]);
    rested.abort();
  }
}
