/** Why a running attempt has to end before the model does. */
export type StopReason =
  | "cancelled" // somebody asked for it
  | "parked" // its slot is wanted: the job goes back to its queue, and on from its token later
  | "draining" // this worker is closing: the job goes back to its queue
  | "expired" // its deadline has passed
  | "gap" // Redis has lost what this attempt published: the job goes back to its queue, and on from what is left of it
  | "lost"; // another attempt owns the job now: nothing more of this one counts

interface RunningJob {
  stop: AbortController;
  ended: Promise<unknown>;
}

/** The attempts of this worker that have not ended, each with the means to stop it. */
export class RunningJobs {
  readonly #byJobId = new Map<string, RunningJob>();

  get count(): number {
    return this.#byJobId.size;
  }

  /**
   * Runs an attempt that can be stopped: its controller is aborted with a StopReason. If an earlier attempt at the same job still runs
   * here (its lease lapsed unnoticed, and BullMQ leased the job to us again), that one is stopped and waited for:
   * two attempts of one process must not share a lease.
   */
  async run<Result>(jobId: string, attempt: (stop: AbortController) => Promise<Result>): Promise<Result> {
    for (let earlier = this.#byJobId.get(jobId); earlier; earlier = this.#byJobId.get(jobId)) {
      earlier.stop.abort("lost" satisfies StopReason);
      await earlier.ended;
    }
    const stop = new AbortController();
    const result = attempt(stop);
    const running = { stop, ended: result.catch(() => {}) };
    this.#byJobId.set(jobId, running);
    try {
      return await result;
    } finally {
      this.#byJobId.delete(jobId);
    }
  }

  stop(jobId: string, reason: StopReason): void {
    this.#byJobId.get(jobId)?.stop.abort(reason);
  }

  stopAll(reason: StopReason): void {
    for (const { stop } of this.#byJobId.values()) stop.abort(reason);
  }

  /** Resolves when no attempt runs any more. */
  async ended(): Promise<void> {
    while (this.#byJobId.size > 0) {
      await Promise.all([...this.#byJobId.values()].map((running) => running.ended));
    }
  }
}
