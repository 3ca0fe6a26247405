import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";

/** Its worker lives, and hands the jobs back at once. */
export const killEngine: Fault = {
  name: "kill -9 engine",
  hits: "worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const { enginePid } = await busyWorker({ cluster, random });
    if (enginePid === null) return;
    await measureTakeovers({ redis: cluster.redis, ledger, takeovers }, killEngine.name, async () => {
      process.kill(enginePid, "SIGKILL");
    });
  },
};
