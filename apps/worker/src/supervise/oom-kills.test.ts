import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { countOomKills, type KernelFolders, OomWatch } from "./oom-kills.ts";

async function kernelWith(files: Record<string, string>): Promise<KernelFolders> {
  const folder = await mkdtemp(join(tmpdir(), "quern-oom-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return { proc: join(folder, "proc"), cgroups: join(folder, "cgroup") };
}

const EVENTS = "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n";
const VMSTAT = "nr_free_pages 5\noom_kill 7\ndrop_pagecache 0\n";

test("the counter of the process' own control group goes first", async () => {
  const kernel = await kernelWith({
    "proc/self/cgroup": "0::/system.slice/quern.service\n",
    "cgroup/system.slice/quern.service/memory.events": EVENTS,
    "proc/vmstat": VMSTAT,
  });
  expect(countOomKills(kernel)).toBe(3);
});

test("in a container the own group is the root", async () => {
  const kernel = await kernelWith({ "proc/self/cgroup": "0::/\n", "cgroup/memory.events": EVENTS });
  expect(countOomKills(kernel)).toBe(3);
});

test("the machine's counter where the group has none", async () => {
  const kernel = await kernelWith({ "proc/self/cgroup": "4:memory:/a\n0::/\n", "proc/vmstat": VMSTAT });
  expect(countOomKills(kernel)).toBe(7);
});

test("none where nothing can be read", async () => {
  expect(countOomKills(await kernelWith({}))).toBeNull();
});

test("only kills since the watch began count", () => {
  let kills: number | null = 3;
  const watch = new OomWatch(() => kills);
  expect(watch.hasKilled()).toBe(false);
  kills = 4;
  expect(watch.hasKilled()).toBe(true);
  kills = null;
  expect(watch.hasKilled()).toBe(false);
});
