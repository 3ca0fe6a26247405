import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";
import { runningSuspects } from "./running-suspects.ts";

/** Its worker lives, and hands the jobs back at once. The engine of a suspect that runs alone goes first. */
export const killEngine: Fault = {
  name: "kill -9 engine",
  hits: "worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const suspects = await runningSuspects({ cluster, ledger });
    const { enginePid } = suspects.length > 0 ? random.pick(suspects) : await busyWorker({ cluster, random });
    if (enginePid === null) return;
    await measureTakeovers({ redis: cluster.redis, ledger, takeovers }, killEngine.name, async () => {
      process.kill(enginePid, "SIGKILL");
    });
  },
};
