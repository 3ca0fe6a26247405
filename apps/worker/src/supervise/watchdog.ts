/** No step may take longer than this, unless the engine announced a longer one. */
export const DEFAULT_STEP_TIMEOUT_MS = 30_000;
/** A step may take this many times as long as the engine expected of it. */
const EXPECTATION_FACTOR = 10;
/** How often progress is checked. */
export const CHECK_INTERVAL_MS = 1_000;

/** Kinds of work that progress apart from each other. */
export type WorkKind = "steps" | "embeddings";

interface Progress {
  pending: number;
  /** Time that passed without progress while work was pending, as the checks counted it. */
  silentMs: number;
  allowedMs: number;
}

/**
 * Notices an engine that hangs: work is pending, and no step ends. Time is counted by the checks, each for one interval, so
 * that a worker that stood still itself (suspended, stopped) first reads what its engine has reported since.
 */
export class Watchdog {
  readonly #stepTimeoutMs: number;
  readonly #progress: Record<WorkKind, Progress>;

  constructor(stepTimeoutMs: number) {
    this.#stepTimeoutMs = stepTimeoutMs;
    const idle = () => ({ pending: 0, silentMs: 0, allowedMs: stepTimeoutMs });
    this.#progress = { steps: idle(), embeddings: idle() };
  }

  began(kind: WorkKind): void {
    const progress = this.#progress[kind];
    if (progress.pending === 0) this.progressed(kind, null);
    progress.pending += 1;
  }

  ended(kind: WorkKind): void {
    this.#progress[kind].pending -= 1;
  }

  /** A step has ended; `nextStepMs`: how long the engine expects the next one to take, null: as long as usual. */
  progressed(kind: WorkKind, nextStepMs: number | null): void {
    const progress = this.#progress[kind];
    progress.silentMs = 0;
    progress.allowedMs = Math.max(this.#stepTimeoutMs, EXPECTATION_FACTOR * (nextStepMs ?? 0));
  }

  /** Called once every `CHECK_INTERVAL_MS`. @returns what hangs, for people; null: all is well. */
  check(): string | null {
    for (const [kind, progress] of Object.entries(this.#progress)) {
      if (progress.pending === 0) continue;
      progress.silentMs += CHECK_INTERVAL_MS;
      if (progress.silentMs <= progress.allowedMs) continue;
      const what = kind === "steps" ? "no step ended" : "no vector was made";
      return `${what} for ${Math.round(progress.silentMs / 1_000)} s with ${progress.pending} requests pending`;
    }
    return null;
  }
}
