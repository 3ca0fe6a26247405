import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { highest } from "../figures/statistics.ts";

/** Often enough for what grows and goes within a second. */
const INTERVAL_MS = 250;
/** For people and programs that read the course of it; peaks are of all samples. */
const KEPT_EVERY = 4;

/** Whose memory is looked at: a process by its resident set, Redis by what it says it uses. */
export interface MemoryWatch {
  processes: Readonly<Record<string, number>>;
  redis: { info: (section: string) => Promise<string> };
}

/** Bytes by name, `redis` among them. */
export interface MemorySample {
  atMs: number;
  bytes: Record<string, number>;
}

export interface MemoryCourse {
  peaks: Record<string, number>;
  /** About one a second. */
  samples: MemorySample[];
}

/** Looks until `finished`. Rejects when one of the processes is gone. */
export async function sampleMemory(
  { processes, redis }: MemoryWatch,
  finished: AbortSignal,
): Promise<MemoryCourse> {
  const samples: MemorySample[] = [];
  const beganMs = performance.now();
  while (!finished.aborted) {
    const bytes: Record<string, number> = { redis: usedMemory(await redis.info("memory")) };
    for (const [name, pid] of Object.entries(processes)) {
      bytes[name] = residentBytes(readFileSync(`/proc/${pid}/status`, "utf8"));
    }
    samples.push({ atMs: Math.round(performance.now() - beganMs), bytes });
    await sleep(INTERVAL_MS, undefined, { signal: finished }).catch(() => {});
  }
  return courseOf(samples);
}

export function courseOf(samples: readonly MemorySample[]): MemoryCourse {
  const names = Object.keys(samples[0]?.bytes ?? {});
  const peaks = Object.fromEntries(
    names.map((name) => [name, highest(samples.map(({ bytes }) => bytes[name] ?? 0)) ?? 0]),
  );
  return { peaks, samples: samples.filter((_, at) => at % KEPT_EVERY === 0) };
}

/** Of `/proc/<pid>/status` (proc_pid_status(5)), which tells kibibytes. */
export function residentBytes(status: string): number {
  return numberIn(status, /^VmRSS:\s+(\d+) kB$/m) * 1_024;
}

/** Of `INFO memory`. */
export function usedMemory(info: string): number {
  return numberIn(info, /^used_memory:(\d+)\r?$/m);
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`nothing like ${pattern} in what the system says of memory`);
  return Number(found);
}
