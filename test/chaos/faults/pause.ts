import { setTimeout as sleep } from "node:timers/promises";

/** Resolves after so long, or when `until` aborts. */
export async function pause(ms: number, until?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, until === undefined ? {} : { signal: until }).catch(() => {});
}
