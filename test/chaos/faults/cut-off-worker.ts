import { LEASE_MS } from "../cluster.ts";
import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";
import { pause } from "./pause.ts";

const MOST_MS = 2 * LEASE_MS;

/**
 * The network between a worker and Redis swallows everything for two leases, or until another worker has taken up one of
 * its jobs, and gives it back then.
 */
export const cutOffWorker: Fault = {
  name: "blackhole worker",
  hits: "worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const { proxy } = (await busyWorker({ cluster, random })).place;
    const takenOver = new AbortController();
    const onTakeover = () => takenOver.abort();
    const until = random.chance(70) ? takenOver.signal : undefined;
    const mended = pause(MOST_MS, until).then(() => proxy.enter({ kind: "pass", latencyMs: 0 }));
    const cutOff = async () => proxy.enter({ kind: "blackhole" });
    await measureTakeovers(
      { redis: cluster.redis, ledger, takeovers },
      cutOffWorker.name,
      cutOff,
      onTakeover,
    );
    await mended;
  },
};
