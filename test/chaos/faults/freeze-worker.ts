import { setTimeout as sleep } from "node:timers/promises";
import { LEASE_MS } from "../cluster.ts";
import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";

const FREEZE_MS = 3 * LEASE_MS;

/**
 * A worker stands still for three leases, as one does whose machine swaps or is moved. Its engine goes on meanwhile, so
 * it wakes with much to say of jobs that are no longer its own.
 */
export const freezeWorker: Fault = {
  name: "SIGSTOP worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const { place } = await busyWorker({ cluster, random });
    const frozen = place.process;
    if (frozen === null) return;
    const thawed = sleep(FREEZE_MS).then(() => process.kill(frozen.pid, "SIGCONT"));
    await measureTakeovers({ redis: cluster.redis, ledger, takeovers }, freezeWorker.name, async () => {
      process.kill(frozen.pid, "SIGSTOP");
    });
    await thawed;
  },
};
