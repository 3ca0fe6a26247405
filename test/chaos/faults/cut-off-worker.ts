import { setTimeout as sleep } from "node:timers/promises";
import { LEASE_MS } from "../cluster.ts";
import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";

const CUT_OFF_MS = 2 * LEASE_MS;

/** The network between a worker and Redis swallows everything, and gives it back later. */
export const cutOffWorker: Fault = {
  name: "blackhole worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const { proxy } = (await busyWorker({ cluster, random })).place;
    const mended = sleep(CUT_OFF_MS).then(() => proxy.enter({ kind: "pass", latencyMs: 0 }));
    await measureTakeovers({ redis: cluster.redis, ledger, takeovers }, cutOffWorker.name, async () =>
      proxy.enter({ kind: "blackhole" }),
    );
    await mended;
  },
};
