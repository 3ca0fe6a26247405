import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freeRam } from "./free-ram.ts";

const GIB = 2 ** 30;
/** 32 GiB, 24 of them available. */
const MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1000000 kB\nMemAvailable:   25165824 kB\n";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "quern-ram-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function lay(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries({ "proc/meminfo": MEMINFO, ...files })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

test("a machine of its own: what the kernel calls available, a gigabyte kept back", async () => {
  await lay({ "proc/self/cgroup": "0::/\n" });
  expect(freeRam(root)).toEqual({ name: "RAM", freeBytes: 24 * GIB, keptBackBytes: GIB });
});

test("a container's limit counts, less what is used there; page cache that can be dropped is free", async () => {
  await lay({
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": `${4 * GIB}\n`,
    "sys/fs/cgroup/memory.current": `${3 * GIB}\n`,
    "sys/fs/cgroup/memory.stat": `anon 1\nfile ${2 * GIB}\ninactive_file ${2 * GIB}\nactive_file 0\n`,
  });
  expect(freeRam(root)).toEqual({ name: "RAM", freeBytes: 3 * GIB, keptBackBytes: GIB });
});

test("so does the limit of any group around it; max is none", async () => {
  await lay({
    "proc/self/cgroup": "0::/system.slice/quern.service\n",
    "sys/fs/cgroup/system.slice/memory.max": `${2 * GIB}\n`,
    "sys/fs/cgroup/system.slice/memory.current": `${GIB}\n`,
    "sys/fs/cgroup/system.slice/quern.service/memory.max": "max\n",
    "sys/fs/cgroup/system.slice/quern.service/memory.current": "0\n",
  });
  expect(freeRam(root)).toEqual({ name: "RAM", freeBytes: GIB, keptBackBytes: GIB / 2 });
});

test("control groups of version 1", async () => {
  await lay({
    "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": `${3 * GIB}\n`,
    "sys/fs/cgroup/memory/memory.usage_in_bytes": `${GIB}\n`,
    "sys/fs/cgroup/memory/memory.stat": `inactive_file 5\ntotal_inactive_file ${GIB / 2}\n`,
  });
  expect(freeRam(root).freeBytes).toBe(2.5 * GIB);
});

test("a limit that is used up leaves nothing, not less", async () => {
  await lay({
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": `${GIB}\n`,
    "sys/fs/cgroup/memory.current": `${GIB + 4_096}\n`,
  });
  expect(freeRam(root).freeBytes).toBe(0);
});

test("this machine has some", () => {
  const { freeBytes, keptBackBytes } = freeRam();
  expect(freeBytes).toBeGreaterThan(0);
  expect(keptBackBytes).toBeGreaterThan(0);
});
