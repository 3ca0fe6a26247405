const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 10_000;
/** Who lived this long has earned a prompt restart. */
const STABLE_AFTER_MS = 30_000;

/** How long to wait before what died is started again: doubling while it keeps dying young. */
export class RestartDelay {
  #nextMs = FIRST_DELAY_MS;

  afterLifeOf(livedMs: number): number {
    if (livedMs >= STABLE_AFTER_MS) this.#nextMs = FIRST_DELAY_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, MAX_DELAY_MS);
    return delayMs;
  }
}
