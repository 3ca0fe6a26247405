import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "./fault.ts";

const SLOW_MS = 3_000;
/** Each way; far below what a request may wait for Redis. */
const LATENCY_MS = { least: 5, most: 60 };

export const slowNetwork: Fault = {
  name: "slow network",
  hits: "redis",
  inject: async ({ cluster, random }) => {
    for (const { proxy } of cluster.places) {
      proxy.enter({ kind: "pass", latencyMs: random.between(LATENCY_MS.least, LATENCY_MS.most) });
    }
    await sleep(SLOW_MS);
    for (const { proxy } of cluster.places) proxy.enter({ kind: "pass", latencyMs: 0 });
  },
};
