import { keepTrying } from "./keep-trying.ts";

/**
 * Cancels a job when its caller hangs up (`gone`), also when it has already. While Redis is away it is tried again.
 * From `closing` on nobody hangs up but the gateway itself: the job runs on.
 */
export function cancelWhenLeft(gone: AbortSignal, closing: AbortSignal, cancel: () => Promise<void>): void {
  const left = () => void keepTrying(cancel, closing);
  if (gone.aborted) left();
  else gone.addEventListener("abort", left, { once: true });
}
