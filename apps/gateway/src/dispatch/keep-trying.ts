import { setTimeout as sleep } from "node:timers/promises";
import { isRedisAway } from "@quern/shared/redis/redis-away";

const REDIS_RETRY_INTERVAL_MS = 250;

/** Carries `act` out, again and again while Redis is away, until `closing`. */
export async function keepTrying(act: () => Promise<void>, closing: AbortSignal): Promise<void> {
  while (!closing.aborted) {
    try {
      return await act();
    } catch (error) {
      // Anything else is a bug, or a job that is gone: nothing that trying again would cure.
      if (!isRedisAway(error)) return;
    }
    await sleep(REDIS_RETRY_INTERVAL_MS, undefined, { signal: closing }).catch(() => {});
  }
}
