import { setTimeout as sleep } from "node:timers/promises";
import { isRedisAway } from "@quern/shared/redis/redis-away";

const REDIS_RETRY_INTERVAL_MS = 250;

/**
 * Cancels a job when its caller hangs up (`gone`), also when it has already. While Redis is away it is tried again.
 * From `closing` on nobody hangs up but the gateway itself: the job runs on.
 */
export function cancelWhenLeft(gone: AbortSignal, closing: AbortSignal, cancel: () => Promise<void>): void {
  const left = () => void keepTrying(cancel, closing);
  if (gone.aborted) left();
  else gone.addEventListener("abort", left, { once: true });
}

async function keepTrying(cancel: () => Promise<void>, closing: AbortSignal): Promise<void> {
  while (!closing.aborted) {
    try {
      return await cancel();
    } catch (error) {
      // Anything else is a bug, or a job that is gone: nothing that trying again would cure.
      if (!isRedisAway(error)) return;
    }
    await sleep(REDIS_RETRY_INTERVAL_MS, undefined, { signal: closing }).catch(() => {});
  }
}
