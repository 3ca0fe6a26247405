import type { WorkerRegistration } from "@quern/shared/contract/worker";

/** Whatever the workers could take: bounds what lines take of Redis, and how long a newcomer waits behind them. */
const MAX_LINES = 512;
export const MAX_WINDOW_BYTES = 16 * 2 ** 20;
/** For a worker that is just coming. */
const LINES_WITHOUT_WORKER = 16;
/** Lines that wait while all slots are busy, at least. */
const MIN_WAITING = 8;
/** Over how long completions are averaged. */
const AVERAGED_MS = 1_000;

type Room = Pick<WorkerRegistration, "slots" | "reservedSlots" | "batchSlots">;

/** Lines of batches that a model's workers can run at a time: each worker's slot pool says how many of them are its own. */
export function runningLines(workers: readonly Room[]): number {
  return workers.reduce(
    (sum, { slots, reservedSlots, batchSlots }) => sum + (batchSlots ?? slots - reservedSlots),
    0,
  );
}

/**
 * How many lines of a model may be under way: all that run, as many again that wait, and twice as many as end between two
 * looks, so that no slot waits for the feeder.
 */
export function windowLines(workers: readonly Room[], linesPerMs: number, lookIntervalMs: number): number {
  const running = runningLines(workers);
  if (running === 0) return LINES_WITHOUT_WORKER;
  const ending = Math.ceil(2 * linesPerMs * lookIntervalMs);
  return Math.min(running + Math.max(running, MIN_WAITING) + ending, MAX_LINES);
}

/** How many lines end in a time, as an average that forgets. */
export class CompletionRate {
  #linesPerMs = 0;

  get linesPerMs(): number {
    return this.#linesPerMs;
  }

  add(lines: number, elapsedMs: number): void {
    if (elapsedMs <= 0) return;
    const share = 1 - Math.exp(-elapsedMs / AVERAGED_MS);
    this.#linesPerMs += share * (Math.max(lines, 0) / elapsedMs - this.#linesPerMs);
  }
}
