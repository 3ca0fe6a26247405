/** So many deaths within this time are no accident any more. */
const MAX_CRASHES = 5;
export const CRASH_WINDOW_MS = 300_000;

/**
 * How the last engines of a worker have died: `unhealthy` from the fifth death within five minutes on, until one of them is
 * longer ago than that, or an engine has lived long enough (`proveStable`). Times are milliseconds of any clock that only goes up.
 */
export class CrashWindow {
  readonly #windowMs: number;
  #crashesMs: number[] = [];

  constructor(windowMs: number = CRASH_WINDOW_MS) {
    this.#windowMs = windowMs;
  }

  crashed(nowMs: number): void {
    this.#crashesMs = [...this.#recent(nowMs), nowMs];
  }

  /** What was before is forgotten. */
  proveStable(): void {
    this.#crashesMs = [];
  }

  health(nowMs: number): "healthy" | "unhealthy" {
    return this.#recent(nowMs).length >= MAX_CRASHES ? "unhealthy" : "healthy";
  }

  /** After how long it is healthy if nothing more happens; 0: it is. */
  healthyInMs(nowMs: number): number {
    const recent = this.#recent(nowMs);
    const last = recent[recent.length - MAX_CRASHES];
    return last === undefined ? 0 : last + this.#windowMs - nowMs;
  }

  #recent(nowMs: number): number[] {
    return this.#crashesMs.filter((crashMs) => crashMs > nowMs - this.#windowMs);
  }
}
