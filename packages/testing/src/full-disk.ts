import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * No file that the process writes may grow past so many bytes (RLIMIT_FSIZE, which needs no privilege); null lifts the
 * limit. To a Redis with `survivesFullDisk` that is what a full disk is: its append-only file takes no more, and it answers writes with
 * MISCONF. Linux, with util-linux's prlimit.
 */
export async function limitFileSize(pid: number, bytes: number | null): Promise<void> {
  // The hard limit stays, or nothing could be lifted again.
  await run("prlimit", ["--pid", String(pid), `--fsize=${bytes ?? "unlimited"}:unlimited`]);
}
