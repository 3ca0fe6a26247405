import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Folders of the kernel's counters. */
export interface KernelFolders {
  proc: string;
  cgroups: string;
}
const KERNEL: KernelFolders = { proc: "/proc", cgroups: "/sys/fs/cgroup" };

/**
 * How many processes the kernel's OOM killer has killed: of this process' own control group (cgroup v2), or of the whole
 * machine where that is not readable. null: nothing can be read. Needs no privileges.
 */
export function countOomKills({ proc, cgroups }: KernelFolders = KERNEL): number | null {
  const group = /^0::(.*)$/m.exec(readOrEmpty(join(proc, "self", "cgroup")))?.[1];
  const own = group === undefined ? "" : readOrEmpty(join(cgroups, group, "memory.events"));
  const kills = /^oom_kill (\d+)$/m.exec(own) ?? /^oom_kill (\d+)$/m.exec(readOrEmpty(join(proc, "vmstat")));
  return kills === null ? null : Number(kills[1]);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Tells whether the OOM killer has killed anything since the watch began. */
export class OomWatch {
  readonly #count: () => number | null;
  readonly #before: number | null;

  constructor(count: () => number | null = countOomKills) {
    this.#count = count;
    this.#before = count();
  }

  /** false also where the kernel's counter can't be read. */
  hasKilled(): boolean {
    const now = this.#count();
    return now !== null && this.#before !== null && now > this.#before;
  }
}
