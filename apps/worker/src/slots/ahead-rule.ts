/** The time until the next job is leased, claimed and sent to the engine, some milliseconds, is nothing beside longer ones. */
const SHORT_JOB_MS = 3_000;
/** Of the latest job in the average. */
const LATEST_SHARE = 0.1;

/**
 * How many batch jobs a worker takes beyond its slots, so that the engine has one at hand when a slot gets free. As many as
 * there are slots, since lines of a batch that are alike end together; and none where jobs are long: what a worker holds, no
 * other can run.
 */
export class AheadRule {
  readonly #slots: number;
  /** null: none has ended yet. */
  #meanMs: number | null = null;

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** A batch job had its slot for so long. */
  ended(tookMs: number): void {
    this.#meanMs = this.#meanMs === null ? tookMs : this.#meanMs + LATEST_SHARE * (tookMs - this.#meanMs);
  }

  get jobs(): number {
    return this.#meanMs !== null && this.#meanMs < SHORT_JOB_MS ? this.#slots : 0;
  }
}
