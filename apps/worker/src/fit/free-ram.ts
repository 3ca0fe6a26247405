import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { FreeMemory } from "./plan-memory.ts";

/** Linux: a quarter of a small machine, a gigabyte of any other. */
const KEPT_BACK_SHARE = 0.25;
const MAX_KEPT_BACK_BYTES = 2 ** 30;

/**
 * What this process may still take: the machine's available memory, or less where a container is limited to less. Page
 * cache that can be dropped counts as free. `root` is where /proc and /sys are.
 */
export function freeRam(root = "/"): FreeMemory {
  const machine = readMachine(root);
  const limits = readLimits(root);
  const totalBytes = Math.min(machine.totalBytes, ...limits.map((limit) => limit.totalBytes));
  return {
    name: "RAM",
    freeBytes: Math.max(0, Math.min(machine.freeBytes, ...limits.map((limit) => limit.freeBytes))),
    keptBackBytes: Math.min(totalBytes * KEPT_BACK_SHARE, MAX_KEPT_BACK_BYTES),
  };
}

interface Amount {
  totalBytes: number;
  freeBytes: number;
}

function readMachine(root: string): Amount {
  const text = read(join(root, "proc/meminfo")) ?? "";
  const bytesOf = (key: string) => Number(new RegExp(`^${key}: +(\\d+) kB`, "m").exec(text)?.[1]) * 1_024;
  return {
    totalBytes: bytesOf("MemTotal") || totalmem(),
    freeBytes: bytesOf("MemAvailable") || freemem(),
  };
}

/** Every control group that this process is in, the outer ones too: each of them may limit it. */
function readLimits(root: string): Amount[] {
  const lines = (read(join(root, "proc/self/cgroup")) ?? "").trim().split("\n");
  return lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    if (controllers === "") {
      return foldersUpFrom(join(root, "sys/fs/cgroup"), path).flatMap((folder) =>
        readLimit(folder, "memory.max", "memory.current", "inactive_file"),
      );
    }
    if (!controllers?.split(",").includes("memory")) return [];
    return foldersUpFrom(join(root, "sys/fs/cgroup/memory"), path).flatMap((folder) =>
      readLimit(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    );
  });
}

/** `top` and all folders between it and `path`. Inside a container the path may be the host's: then only `top` is there. */
function foldersUpFrom(top: string, path: string): string[] {
  const folders = [top];
  for (let folder = path; folder !== "/" && folder !== "."; folder = dirname(folder)) {
    folders.push(join(top, folder));
  }
  return folders;
}

/** Nothing where the files aren't there or say `max`. */
function readLimit(folder: string, limit: string, usage: string, droppable: string): Amount[] {
  const totalBytes = Number(read(join(folder, limit)) ?? Number.NaN);
  const usedBytes = Number(read(join(folder, usage)) ?? Number.NaN);
  if (Number.isNaN(totalBytes) || Number.isNaN(usedBytes)) return [];
  const stat = read(join(folder, "memory.stat")) ?? "";
  const cacheBytes = Number(new RegExp(`^${droppable} (\\d+)`, "m").exec(stat)?.[1] ?? 0);
  return [{ totalBytes, freeBytes: totalBytes - usedBytes + cacheBytes }];
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
