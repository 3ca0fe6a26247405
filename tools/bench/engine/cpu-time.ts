import { readFileSync } from "node:fs";

/** User and system time of the process that runs a model. */
export interface CpuClock {
  /** Since the process started. */
  nowMs: () => number;
  /** Differences below this are mostly rounding. */
  lowestMs: number;
}

/** Of `/proc/<pid>/stat`'s times: USER_HZ, which is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** This process. */
export const ownCpu: CpuClock = {
  nowMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  lowestMs: 0,
};

/** Another process. Linux only (proc_pid_stat(5)); `nowMs` throws when there is no such process. */
export function cpuOf(pid: number): CpuClock {
  return {
    nowMs: () => {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The second field is the command in parentheses and may itself contain both spaces and parentheses.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // utime and stime are the fields 14 and 15; the third one is the first here.
      const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
      return (userTicks + systemTicks) * TICK_MS;
    },
    // Both times are rounded to ticks, at both ends: then the error is below a tenth, mostly far below.
    lowestMs: 20 * TICK_MS,
  };
}
