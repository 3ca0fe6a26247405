import { setTimeout as sleep } from "node:timers/promises";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";
import { hasCrashed } from "./has-crashed.ts";
import { runningSuspects } from "./running-suspects.ts";

/** A suspect ends within milliseconds as a rule: look often. */
const LOOK_INTERVAL_MS = 5;
/** Longer than a suspect waits for a worker that makes room (`worker.ts`). */
const WATCH_MS = 12_000;
const MAX_KILLS = 2;

/**
 * An engine crashes by itself (SIGABRT), which makes suspects of its jobs, and the engines in which they then run alone are
 * killed from outside: no job may fail of that. An engine is left alone while it runs a job that has seen a crash before: three
 * are the end of a job.
 */
export const crashEngine: Fault = {
  name: "crash of engine",
  hits: "worker",
  inject: async (target) => {
    const { cluster, ledger, random } = target;
    const { enginePid } = await busyWorker({ cluster, random });
    if (enginePid === null || (await hasCrashed(target, enginePid))) return;
    process.kill(enginePid, "SIGABRT");
    ledger.note("engine crashed", { enginePid });
    const killed = new Set<number>([enginePid]);
    const giveUpAtMs = performance.now() + WATCH_MS;
    while (killed.size <= MAX_KILLS && performance.now() < giveUpAtMs) {
      const suspect = (await runningSuspects(target)).find((running) => !killed.has(running.enginePid));
      if (suspect === undefined) await sleep(LOOK_INTERVAL_MS);
      else {
        killed.add(suspect.enginePid);
        kill(suspect.enginePid);
        ledger.note("suspect's engine killed", { job: suspect.jobId });
      }
    }
  },
};

/** Its heartbeat may tell of an engine that has ended since. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
