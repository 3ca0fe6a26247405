import { QuernError } from "@quern/shared/contract/errors";
import type { JobClass } from "@quern/shared/contract/job";
import { isRedisSilent } from "@quern/shared/redis/redis-away";

/** Enough that Redis always has a line of commands, which it then writes to its disk together. */
const CONCURRENT_SUBMITS = 128;
/** The longest wait that is worth while: callers and proxies commonly give up after 60 s. */
const MAX_WAIT_MS = 30_000;
/** Bounds memory while it is not known yet how long a turn takes. */
const MAX_WAITING_SUBMITS = 5_000;
/** How far back submits count for how fast they go. */
const PACE_MEMORY_MS = 5_000;
/** What is assumed beside what was measured: the first submit of a model takes long, and says little about the next. */
const ASSUMED_SUBMITS = 100;
const ASSUMED_INTERVAL_MS = 5;

interface Waiting {
  begin: () => void;
  refuse: (error: unknown) => void;
}

/**
 * Lets a bounded number of submits write to Redis at once; the others wait for their turn, those of interactive jobs
 * before those of batch jobs. One that would wait too long is refused on arrival, when nothing is written for it yet
 * (docs/decisions/0020-a-busy-gateway-queues-submits.md).
 */
export class SubmitTurns {
  readonly #concurrent: number;
  readonly #maxWaitMs: number;
  readonly #maxWaiting: number;
  readonly #waiting: Record<JobClass, Set<Waiting>> = { interactive: new Set(), batch: new Set() };
  #running = 0;
  readonly #pace: Pace;

  constructor({
    concurrent = CONCURRENT_SUBMITS,
    maxWaitMs = MAX_WAIT_MS,
    maxWaiting = MAX_WAITING_SUBMITS,
    now = () => performance.now(),
  } = {}) {
    this.#concurrent = concurrent;
    this.#maxWaitMs = maxWaitMs;
    this.#maxWaiting = maxWaiting;
    this.#pace = new Pace(now);
  }

  /**
   * Calls `submit` when it is its turn.
   * @param gone aborts when the caller hangs up: its submit is dropped if it still waits.
   * @throws QuernError `gateway_overloaded`, `job_cancelled` when the caller hung up; what `submit` throws; and, where
   * another submit found Redis silent while this one waited, what that one threw.
   */
  async take<Result>(jobClass: JobClass, gone: AbortSignal, submit: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#concurrent) {
      this.#refuseLongWait(jobClass);
      await this.#turn(jobClass, gone);
    } else {
      if (this.#running === 0) this.#pace.begin();
      this.#running += 1;
    }
    try {
      return await submit();
    } catch (error) {
      if (isRedisSilent(error)) this.#refuseWaiting(error);
      throw error;
    } finally {
      this.#ended();
    }
  }

  /** Resolves when it is its turn, which is counted as running by then. */
  async #turn(jobClass: JobClass, gone: AbortSignal): Promise<void> {
    const waiting = this.#waiting[jobClass];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry: Waiting = { begin: resolve, refuse: reject };
    const leave = () => {
      if (waiting.delete(entry)) reject(hungUp());
    };
    waiting.add(entry);
    gone.addEventListener("abort", leave, { once: true });
    if (gone.aborted) leave();
    try {
      await promise;
    } finally {
      gone.removeEventListener("abort", leave);
    }
  }

  #refuseLongWait(jobClass: JobClass): void {
    const { interactive, batch } = this.#waiting;
    const ahead = interactive.size + (jobClass === "batch" ? batch.size : 0);
    const waitMs = (ahead + 1) * this.#pace.intervalMs;
    if (waitMs <= this.#maxWaitMs && interactive.size + batch.size < this.#maxWaiting) return;
    throw new QuernError(
      "gateway_overloaded",
      "this gateway has more requests to accept than it can; nothing was submitted, try again later or at another gateway",
      { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) },
    );
  }

  #ended(): void {
    this.#pace.end();
    for (const waiting of [this.#waiting.interactive, this.#waiting.batch]) {
      const [next] = waiting;
      if (next === undefined) continue;
      waiting.delete(next);
      // The place passes on: `#running` stays as it is.
      next.begin();
      return;
    }
    this.#running -= 1;
  }

  /** Each of those that wait would find the same, one time limit after the other. */
  #refuseWaiting(error: unknown): void {
    for (const waiting of [this.#waiting.interactive, this.#waiting.batch]) {
      const refused = [...waiting];
      waiting.clear();
      for (const { refuse } of refused) refuse(error);
    }
  }
}

function hungUp(): QuernError {
  return new QuernError("job_cancelled", "the caller hung up before its request was accepted");
}

/** How fast submits end, in the last seconds in which any ran: a moment's standstill must not count for more than it was. */
class Pace {
  readonly #now: () => number;
  #lastMs = 0;
  /** What was measured; both fade with the time that passes. */
  #busyMs = 0;
  #ends = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** From one end of a submit to the next, on average. */
  get intervalMs(): number {
    return (this.#busyMs + ASSUMED_SUBMITS * ASSUMED_INTERVAL_MS) / (this.#ends + ASSUMED_SUBMITS);
  }

  /** Called when none ran before. */
  begin(): void {
    this.#lastMs = this.#now();
  }

  end(): void {
    const nowMs = this.#now();
    const passedMs = nowMs - this.#lastMs;
    const kept = Math.exp(-passedMs / PACE_MEMORY_MS);
    this.#lastMs = nowMs;
    this.#busyMs = this.#busyMs * kept + passedMs;
    this.#ends = this.#ends * kept + 1;
  }
}
