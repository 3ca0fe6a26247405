import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface Survivor {
  pid: number;
  command: string;
}

/** Some end a moment after the process that told them to. */
const GRACE_MS = 5_000;
const POLL_INTERVAL_MS = 100;

/**
 * Processes of this test run that are still there when it is over: they carry its id in their environment
 * (`QUERN_TEST_RUN`, set by the global set-up). Every one of them is a leak; they are killed by their pids.
 * Linux only: elsewhere there is no `/proc`, and nothing is found.
 */
export async function endSurvivors(): Promise<Survivor[]> {
  const run = process.env.QUERN_TEST_RUN;
  if (run === undefined) return [];
  const giveUpAtMs = performance.now() + GRACE_MS;
  for (;;) {
    const survivors = await processesWith(`QUERN_TEST_RUN=${run}`);
    if (survivors.length === 0) return [];
    if (performance.now() > giveUpAtMs) {
      for (const { pid } of survivors) process.kill(pid, "SIGKILL");
      return survivors;
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

async function processesWith(variable: string): Promise<Survivor[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids
      .filter((pid) => pid !== process.pid)
      .map(async (pid) => {
        const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
        if (!environment.split("\0").includes(variable)) return null;
        const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        return { pid, command: command.replaceAll("\0", " ").trim() };
      }),
  );
  return found.filter((survivor) => survivor !== null);
}
