/** A tenth up or down: receivers that came back together are not asked together. */
const JITTER = 0.1;
/** What a receiver may ask for at most; the schedule's own longest pause. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/**
 * Milliseconds from the end of an attempt until the next. `attemptsMade` counts the ended one too; the first entry of
 * `retrySeconds` stands before the first attempt. A receiver's own wish counts when it is later.
 */
export function pauseBeforeNextMs(
  retrySeconds: readonly number[],
  attemptsMade: number,
  askedForMs: number | null,
  random: () => number,
): number {
  const scheduledMs = (retrySeconds[attemptsMade] ?? 0) * 1_000;
  const jittered = scheduledMs * (1 - JITTER + 2 * JITTER * random());
  return Math.round(Math.max(jittered, Math.min(askedForMs ?? 0, MAX_RETRY_AFTER_MS)));
}

/** `Retry-After` is seconds or a date (RFC 9110, 10.2.3); null: absent, past or neither. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const value = header.trim();
  if (/^\d+$/.test(value)) return Number(value) * 1_000 || null;
  // A date begins with its weekday; `Date.parse` reads one out of nearly anything, such as "-5".
  const afterMs = /^[A-Z][a-z]+,? /.test(value) ? Date.parse(value) - nowMs : 0;
  return afterMs > 0 ? afterMs : null;
}
