/** How often the time is looked at. */
const STEP_MS = 50;
/** What a step counts at most: a step that comes later says that this process was busy, which is nobody else's delay. */
const LONGEST_STEP_MS = 2 * STEP_MS;

/**
 * Calls back about every 50 ms with the milliseconds since the call before, without the time for which the event loop
 * of this process did not turn. Between two calls the loop reads what has arrived.
 * @returns stops it.
 */
export function everyLoopStep(onStep: (stepMs: number) => void): () => void {
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const stepMs = Math.min(nowMs - lastMs, LONGEST_STEP_MS);
    lastMs = nowMs;
    onStep(stepMs);
  }, STEP_MS);
  return () => clearInterval(timer);
}

/** Settles as `work` does, or rejects with `lateError()` after `timeoutMs` of loop time; `work` is then left to itself. */
export async function withinLoopTime<Value>(
  timeoutMs: number,
  work: Promise<Value>,
  lateError: () => Error,
): Promise<Value> {
  const late = Promise.withResolvers<never>();
  let elapsedMs = 0;
  const stop = everyLoopStep((stepMs) => {
    elapsedMs += stepMs;
    if (elapsedMs >= timeoutMs) late.reject(lateError());
  });
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    stop();
    work.catch(() => {});
  }
}
