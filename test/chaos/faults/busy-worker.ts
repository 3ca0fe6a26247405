import { setTimeout as sleep } from "node:timers/promises";
import { listWorkers } from "@quern/shared/redis/registry";
import type { Place } from "../cluster.ts";
import type { Target } from "./fault.ts";

const LOOK_INTERVAL_MS = 100;
/** A cluster under load has one nearly always; none in so many looks means that the load is over. */
const MAX_LOOKS = 50;

/** A worker that jobs run on, so that they are hit too; any one when there is none. `enginePid` null: none is known. */
export async function busyWorker({
  cluster,
  random,
}: Pick<Target, "cluster" | "random">): Promise<{ place: Place; enginePid: number | null }> {
  const places = cluster.of("worker");
  for (let look = 0; look < MAX_LOOKS; look++) {
    const workers = await listWorkers(cluster.redis);
    const busy = places.flatMap((place) => {
      const worker = workers.find(({ pid, busy: jobs }) => pid === place.process?.pid && jobs > 0);
      return worker === undefined ? [] : [{ place, enginePid: worker.enginePid }];
    });
    if (busy.length > 0) return random.pick(busy);
    await sleep(LOOK_INTERVAL_MS);
  }
  return { place: random.pick(places), enginePid: null };
}
