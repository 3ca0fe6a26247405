import { QuernError } from "@quern/shared/contract/errors";
import type { JobClass } from "@quern/shared/contract/job";
import { isRedisSilent } from "@quern/shared/redis/redis-away";

/** Enough to keep Redis busy; their commands are a line of about 0.1 s there. */
const CONCURRENT_SUBMITS = 32;
/** The longest wait that is worth while: callers with a time limit of their own commonly allow 30 s and more. */
const MAX_WAIT_MS = 20_000;
/** Bounds memory while it is not known yet how long a turn takes. */
const MAX_WAITING_SUBMITS = 5_000;
/** The share of the last turn in the average. */
const LAST_TURN_SHARE = 0.1;

interface Waiting {
  begin: () => void;
  refuse: (error: unknown) => void;
}

/**
 * Lets a bounded number of submits write to Redis at once; the others wait for their turn, those of interactive jobs
 * before those of batch jobs. One that would wait too long is refused on arrival, when nothing is written for it yet
 * (docs/decisions/0019-a-busy-gateway-queues-submits.md).
 */
export class SubmitTurns {
  readonly #concurrent: number;
  readonly #maxWaitMs: number;
  readonly #maxWaiting: number;
  readonly #now: () => number;
  readonly #waiting: Record<JobClass, Set<Waiting>> = { interactive: new Set(), batch: new Set() };
  #running = 0;
  /** How long a turn takes on average; null: none has ended yet. */
  #turnMs: number | null = null;

  constructor({
    concurrent = CONCURRENT_SUBMITS,
    maxWaitMs = MAX_WAIT_MS,
    maxWaiting = MAX_WAITING_SUBMITS,
    now = () => performance.now(),
  } = {}) {
    this.#concurrent = concurrent;
    this.#maxWaitMs = maxWaitMs;
    this.#maxWaiting = maxWaiting;
    this.#now = now;
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
      this.#running += 1;
    }
    const beganMs = this.#now();
    try {
      return await submit();
    } catch (error) {
      if (isRedisSilent(error)) this.#refuseWaiting(error);
      throw error;
    } finally {
      this.#ended(this.#now() - beganMs);
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
    const waitMs = ((ahead + this.#running) / this.#concurrent) * (this.#turnMs ?? 0);
    if (waitMs <= this.#maxWaitMs && interactive.size + batch.size < this.#maxWaiting) return;
    throw new QuernError(
      "gateway_overloaded",
      "this gateway has more requests to accept than it can; nothing was submitted, try again later or at another gateway",
      { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) },
    );
  }

  #ended(turnMs: number): void {
    this.#turnMs =
      this.#turnMs === null ? turnMs : this.#turnMs + LAST_TURN_SHARE * (turnMs - this.#turnMs);
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
