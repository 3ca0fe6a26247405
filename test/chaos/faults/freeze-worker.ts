import { LEASE_MS } from "../cluster.ts";
import { measureTakeovers } from "../takeovers.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";
import { pause } from "./pause.ts";

const MOST_MS = 3 * LEASE_MS;

/**
 * A worker stands still for three leases, as one does whose machine swaps or is moved, or until another has taken up one
 * of its jobs. Its engine goes on meanwhile, so it wakes with much to say of jobs that are no longer its own.
 */
export const freezeWorker: Fault = {
  name: "SIGSTOP worker",
  hits: "worker",
  inject: async ({ cluster, ledger, takeovers, random }) => {
    const { place } = await busyWorker({ cluster, random });
    const frozen = place.process;
    if (frozen === null) return;
    const takenOver = new AbortController();
    const onTakeover = () => takenOver.abort();
    const until = random.chance(70) ? takenOver.signal : undefined;
    const thawed = pause(MOST_MS, until).then(() => process.kill(frozen.pid, "SIGCONT"));
    const freeze = async () => {
      process.kill(frozen.pid, "SIGSTOP");
    };
    await measureTakeovers(
      { redis: cluster.redis, ledger, takeovers },
      freezeWorker.name,
      freeze,
      onTakeover,
    );
    await thawed;
  },
};
