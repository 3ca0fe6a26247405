import type { JobRecord } from "@quern/shared/contract/job";
import type { StopReason } from "./running-jobs.ts";

/** The longest delay a timer takes (24.8 days); no attempt lasts longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

type Timed = Pick<JobRecord, "deadlineAtMs" | "claimedAtMs">;

/** A takeover of a job whose deadline passed under the worker that vanished: it is claimed to be ended. */
export function isOverdue(record: Timed): boolean {
  return remainingMs(record) <= 0;
}

/**
 * Stops the attempt at the job's deadline, unless it is disposed before. Both times of the record are by Redis' clock,
 * and a timer runs by none that can be set: this process' own clock has no say.
 */
export function stopAtDeadline(record: Timed, stop: AbortController): Disposable {
  const delayMs = remainingMs(record);
  if (delayMs > MAX_TIMER_MS) return { [Symbol.dispose]: () => {} };
  const timer = setTimeout(() => stop.abort("expired" satisfies StopReason), Math.max(delayMs, 0));
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** At the moment of the claim; infinite without a deadline. */
function remainingMs({ deadlineAtMs, claimedAtMs }: Timed): number {
  return deadlineAtMs === null || claimedAtMs === null
    ? Number.POSITIVE_INFINITY
    : deadlineAtMs - claimedAtMs;
}
