import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockFile, tryLockFile } from "./file-lock.ts";

const KERNEL_LOCK = new URL("./kernel-lock.mjs", import.meta.url).href;
let folder: string;
let path: string;
let children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-lock-"));
  path = join(folder, "x.lock");
});
afterEach(async () => {
  await Promise.all(children.map(end));
  children = [];
  await rm(folder, { recursive: true, force: true });
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** A process that holds the lock until it is killed. */
async function holder(): Promise<ChildProcess> {
  const source = `
    const { tryKernelLock } = await import(${JSON.stringify(KERNEL_LOCK)});
    const lock = await tryKernelLock(${JSON.stringify(path)});
    console.log(lock === null ? "busy" : "held");
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source]);
  children.push(child);
  const [line] = await once(child.stdout, "data");
  expect(String(line)).toBe("held\n");
  return child;
}

test("a lock is refused while it is held, and waited for; released, it leaves no file", async () => {
  const lock = await tryLockFile(path);
  expect(await tryLockFile(path)).toBeNull();
  let released = false;
  const waiting = lockFile(path, {
    signal: new AbortController().signal,
    onWait: () => {
      released = true;
      lock?.[Symbol.dispose]();
    },
  });
  {
    using _held = await waiting;
    expect(released).toBe(true);
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});

test("waiting stops with its signal", async () => {
  using _held = await tryLockFile(path);
  const stop = new AbortController();
  const waiting = lockFile(path, { signal: stop.signal, onWait: () => stop.abort() });
  await expect(waiting).rejects.toThrow(/abort/i);
});

test("the lock of a killed process is free at once, whichever process its file names", async () => {
  const child = await holder();
  expect(await tryLockFile(path)).toBeNull();
  await end(child);
  // As after its PID was given to another process.
  await writeFile(path, String(process.ppid));
  using lock = await tryLockFile(path);
  expect(lock).not.toBeNull();
});

test("the lock of a process that stands still is not taken over", async () => {
  const child = await holder();
  child.kill("SIGSTOP");
  const longAgo = new Date(0);
  await utimes(path, longAgo, longAgo);
  expect(await tryLockFile(path)).toBeNull();
});

test("a child that inherits a lock keeps it after its parent was killed", async () => {
  const source = `
    const { spawn } = await import("node:child_process");
    const { tryKernelLock } = await import(${JSON.stringify(KERNEL_LOCK)});
    const { fd } = await tryKernelLock(${JSON.stringify(path)});
    const child = spawn("sleep", ["60"], { stdio: ["ignore", "ignore", "ignore", fd] });
    child.once("spawn", () => console.log(child.pid));`;
  const parent = spawn(process.execPath, ["--input-type=module", "--eval", source]);
  children.push(parent);
  const [line] = await once(parent.stdout, "data");
  const heir = Number(String(line));
  await end(parent);
  try {
    expect(await tryLockFile(path)).toBeNull();
  } finally {
    process.kill(heir, "SIGKILL");
  }
  using lock = await lockFile(path, { signal: new AbortController().signal });
  expect(lock.fd).toBeGreaterThan(2);
});

test("holders never overlap, although each removes the file when it is done", async () => {
  let inside = 0;
  let overlaps = 0;
  let turns = 0;
  const taker = async () => {
    for (let turn = 0; turn < 25; ) {
      const lock = await tryLockFile(path);
      if (lock === null) continue;
      inside += 1;
      if (inside > 1) overlaps += 1;
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      lock[Symbol.dispose]();
      turn += 1;
      turns += 1;
    }
  };
  await Promise.all([taker(), taker(), taker()]);
  expect({ turns, overlaps }).toEqual({ turns: 75, overlaps: 0 });
});
