import type { Fault } from "./fault.ts";

/** Longer than a request may wait, so that callers see their 503, and shorter than a lease. */
const AWAY_MS = { least: 0, most: 2_000 };

/** It comes back on the same port, with what its append-only file holds. */
export const killRedis: Fault = {
  name: "kill -9 redis",
  hits: "redis",
  inject: async ({ cluster, random }) => {
    await cluster.restartRedis(random.between(AWAY_MS.least, AWAY_MS.most));
    await cluster.whole();
    await cluster.redis.ping();
  },
};
