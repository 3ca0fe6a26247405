import { setTimeout as sleep } from "node:timers/promises";
import { crashEngine } from "./crash-engine.ts";
import { cutConnections } from "./cut-connections.ts";
import { cutOffWorker } from "./cut-off-worker.ts";
import type { Fault, Target } from "./fault.ts";
import { fillDisk } from "./fill-disk.ts";
import { freezeWorker } from "./freeze-worker.ts";
import { hangEngine } from "./hang-engine.ts";
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
  crashEngine,
  hangEngine,
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

export interface Breaking {
  /** Parts of names; empty: all. */
  only: readonly string[];
  /** So many things are broken together, each in another part of the cluster. */
  atOnce: number;
}

/** Breaks one thing after another, in rounds of another order each, until there is no more wish for it. */
export async function breakThings(
  target: Target,
  { only, atOnce }: Breaking,
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
    for (const faults of together(target.random.shuffled(round), atOnce)) {
      if (!wantsMore(injected)) break;
      tell(faults.map(({ name }) => name).join(" + "));
      await Promise.all(faults.map((fault) => breakOne(target, fault)));
      for (const { name } of faults) counts.set(name, (counts.get(name) ?? 0) + 1);
      injected += faults.length;
      await sleep(target.random.between(PAUSE_MS.least, PAUSE_MS.most));
    }
  }
  return counts;
}

async function breakOne(target: Target, fault: Fault): Promise<void> {
  target.ledger.note("fault", { name: fault.name });
  await fault.inject(target);
  target.ledger.note("mended", { name: fault.name });
}

/** The faults in their order, in groups of which no two hit the same part. */
function together(faults: readonly Fault[], most: number): Fault[][] {
  const left = [...faults];
  const groups: Fault[][] = [];
  for (let first = left.shift(); first !== undefined; first = left.shift()) {
    const group = [first];
    for (const fault of [...left]) {
      if (group.length >= most) break;
      if (group.some(({ hits }) => hits === fault.hits)) continue;
      group.push(...left.splice(left.indexOf(fault), 1));
    }
    groups.push(group);
  }
  return groups;
}

export const FAULTS_A_ROUND = ROUND.length;
