import { setTimeout as sleep } from "node:timers/promises";
import { STEP_TIMEOUT_MS } from "../cluster.ts";
import { busyWorker } from "./busy-worker.ts";
import type { Fault } from "./fault.ts";
import { hasCrashed } from "./has-crashed.ts";

const LOOK_INTERVAL_MS = 100;
/** The step time-out counts while work is pending, by checks of a busy machine. */
const WATCH_MS = 4 * STEP_TIMEOUT_MS;

/**
 * An engine stands still and never goes on, as one does whose GPU stalls: its worker has to notice, kill it and give its jobs
 * back. A hang counts as a crash, so an engine is left alone while it runs a job that has seen one before.
 */
export const hangEngine: Fault = {
  name: "SIGSTOP engine",
  hits: "worker",
  inject: async (target) => {
    const { cluster, ledger, random } = target;
    const { place, enginePid } = await busyWorker({ cluster, random });
    if (enginePid === null || (await hasCrashed(target, enginePid))) return;
    process.kill(enginePid, "SIGSTOP");
    const stoppedAtMs = performance.now();
    // An engine whose jobs were all taken elsewhere is idle, and idle engines never hang: that one goes on.
    while (isThere(enginePid) && performance.now() - stoppedAtMs < WATCH_MS) await sleep(LOOK_INTERVAL_MS);
    const waitedMs = Math.round(performance.now() - stoppedAtMs);
    const outcome = isThere(enginePid) ? "went on, idle" : "killed";
    ledger.note("engine hung", { worker: place.name, enginePid, outcome, waitedMs });
    if (isThere(enginePid)) process.kill(enginePid, "SIGCONT");
  },
};

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
