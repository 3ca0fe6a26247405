import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";

/** Its engine ends with it; its jobs wait for their leases to lapse. */
export const killWorker: Fault = {
  name: "kill -9 worker",
  hits: "worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const { place } = await busyWorker({ cluster, random });
    await measureTakeovers({ redis: cluster.redis, ledger, takeovers }, killWorker.name, () =>
      cluster.kill(place),
    );
    await cluster.whole();
  },
};
