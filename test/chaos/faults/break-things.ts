import { setTimeout as sleep } from "node:timers/promises";
import { cutConnections } from "./cut-connections.ts";
import { cutOffWorker } from "./cut-off-worker.ts";
import type { Fault, Target } from "./fault.ts";
import { fillDisk } from "./fill-disk.ts";
import { freezeWorker } from "./freeze-worker.ts";
import { killEngine } from "./kill-engine.ts";
import { killGateway } from "./kill-gateway.ts";
import { killRedis } from "./kill-redis.ts";
import { killScheduler } from "./kill-scheduler.ts";
import { killWorker } from "./kill-worker.ts";
import { slowNetwork } from "./slow-network.ts";

/** A round of faults; what kills comes more often. */
const ROUND: readonly Fault[] = [
  killWorker,
  killWorker,
  killWorker,
  killEngine,
  killEngine,
  killEngine,
  killGateway,
  killGateway,
  killRedis,
  killScheduler,
  freezeWorker,
  cutOffWorker,
  cutConnections,
  slowNetwork,
  fillDisk,
];

const PAUSE_MS = { least: 200, most: 1_500 };

/** Breaks one thing after another, in rounds of another order each, until there is no more wish for it. `only`: parts of names. */
export async function breakThings(
  target: Target,
  only: readonly string[],
  wantsMore: (injected: number) => boolean,
  tell: (name: string) => void,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const round = ROUND.filter(
    ({ name, applies }) =>
      (applies?.(target.cluster) ?? true) && (only.length === 0 || only.some((part) => name.includes(part))),
  );
  if (round.length === 0) throw new Error(`no fault has ${only.join(" or ")} in its name`);
  let injected = 0;
  while (wantsMore(injected)) {
    for (const fault of target.random.shuffled(round)) {
      if (!wantsMore(injected)) break;
      tell(fault.name);
      target.ledger.note("fault", { name: fault.name });
      await fault.inject(target);
      target.ledger.note("mended", { name: fault.name });
      counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
      injected += 1;
      await sleep(target.random.between(PAUSE_MS.least, PAUSE_MS.most));
    }
  }
  return counts;
}

export const FAULTS_A_ROUND = ROUND.length;
