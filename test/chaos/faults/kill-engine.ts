import { listWorkers } from "@quern/shared/redis/registry";
import { measureTakeovers } from "../takeovers.ts";
import type { Fault } from "./fault.ts";

/** Its worker lives, and hands the jobs back at once. */
export const killEngine: Fault = {
  name: "kill -9 engine",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const pids = new Set(cluster.of("worker").map(({ process }) => process?.pid));
    const workers = (await listWorkers(cluster.redis)).filter(({ pid, busy }) => pids.has(pid) && busy > 0);
    const { enginePid } = workers.length > 0 ? random.pick(workers) : { enginePid: null };
    if (enginePid === null) return;
    await measureTakeovers({ redis: cluster.redis, ledger, takeovers }, killEngine.name, async () => {
      process.kill(enginePid, "SIGKILL");
    });
  },
};
