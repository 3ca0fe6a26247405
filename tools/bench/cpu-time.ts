import { readFileSync } from "node:fs";

/** Of `/proc/<pid>/stat`'s times: USER_HZ, which is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** User and system time of this process since it started. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/**
 * User and system time of another process, in steps of 10 ms. Linux only (proc_pid_stat(5)).
 *
 * @throws when there is no such process.
 */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the command in parentheses and may itself contain both spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime and stime are the fields 14 and 15; the third one is the first here.
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  return (userTicks + systemTicks) * TICK_MS;
}
