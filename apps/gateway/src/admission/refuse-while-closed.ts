import { QuernError } from "@quern/shared/contract/errors";
import type { EvictionWatch } from "./eviction-watch.ts";

/**
 * Whether this gateway accepts anything at all just now.
 * @throws QuernError `draining`, `redis_evicts`; rejects when Redis is away and has not been looked at.
 */
export async function refuseWhileClosed({
  draining,
  evictionWatch,
}: {
  draining: AbortSignal;
  evictionWatch: EvictionWatch;
}): Promise<void> {
  if (draining.aborted) {
    throw new QuernError("draining", "this gateway is going away and accepts no more jobs; try another one");
  }
  await evictionWatch.refuse();
}
