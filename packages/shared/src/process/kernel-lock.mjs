// @ts-check
// Locks that one process at a time holds, on this machine or in any container that mounts the same file. The kernel keeps
// them (flock(2)) and drops them with the last process that has the file open, so nothing has to judge whether a holder
// is still alive: PIDs are reused, and mean nothing in another PID namespace. Node has no call for flock(2), but the lock
// belongs to the open file, so the program flock(1) takes it on a file that this process has open, and ends.
//
// Limit: between machines a lock is as good as the file system. NFSv4 and CephFS share it; NFS mounted with `nolock` or
// `local_lock`, and most FUSE file systems of buckets, do not.
//
// tools/bootstrap.mjs imports this file before anything is installed: no dependencies, no syntax younger than Node 18.

import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_INTERVAL_MS = 250;
/** Exit code of flock(1) when another process holds the lock. */
const CONFLICT = 1;

/** No lock can be had here at all. Its message names the cure. */
export class LocksUnavailableError extends Error {}

/**
 * @typedef {object} KernelLock
 * @property {number} fd A child that inherits it keeps the lock until it ends.
 * @property {() => void} release Removes the file too.
 */

/**
 * Takes the lock of a file, which is created when it is missing.
 * @param {string} path
 * @returns {Promise<KernelLock | null>} null: another process holds it.
 * @throws {LocksUnavailableError}
 */
export async function tryKernelLock(path) {
  for (;;) {
    const fd = openOrCreate(path);
    try {
      if (!(await takeLock(fd))) {
        closeSync(fd);
        return null;
      }
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // The last holder may have removed the file between `open` and the lock. A lock of a removed file excludes nobody.
    if (isFileAt(path, fd)) return { fd, release: () => release(path, fd) };
    closeSync(fd);
  }
}

/**
 * Waits for the lock of a file.
 * @param {string} path
 * @param {{ signal?: AbortSignal, onWait?: (() => void) | undefined }} [options] `onWait` is called once when another process holds the lock.
 * @returns {Promise<KernelLock>}
 * @throws {LocksUnavailableError} or an AbortError.
 */
export async function waitForKernelLock(path, { signal, onWait } = {}) {
  for (let tries = 0; ; tries += 1) {
    const lock = await tryKernelLock(path);
    if (lock !== null) return lock;
    if (tries === 0) onWait?.();
    await sleep(POLL_INTERVAL_MS, undefined, signal === undefined ? {} : { signal });
  }
}

/** @param {string} path */
function openOrCreate(path) {
  try {
    // NFS grants an exclusive lock only of a file that is open for writing.
    return openSync(path, "a+");
  } catch (error) {
    // Another user's file, left by a process that was killed. A local file system needs no write access.
    if (codeOf(error) === "EACCES") return openSync(path, "r");
    throw error;
  }
}

/**
 * @param {number} fd
 * @returns {Promise<boolean>}
 */
function takeLock(fd) {
  return new Promise((resolve, reject) => {
    // In a process group of its own: a terminal's Ctrl-C is for this process to handle.
    const child = spawn("flock", ["-x", "-n", "3"], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe", fd],
    });
    let complaint = "";
    child.stderr?.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
      complaint += chunk;
    });
    child.once("error", (error) => {
      const missing = "the program flock is missing: install util-linux";
      const why = codeOf(error) === "ENOENT" ? missing : `flock can't be run: ${error.message}`;
      reject(new LocksUnavailableError(why, { cause: error }));
    });
    child.once("close", (code, signal) => {
      if (code === 0) resolve(true);
      else if (code === CONFLICT && complaint === "") resolve(false);
      else reject(new LocksUnavailableError(`flock failed (${signal ?? code}): ${complaint.trim()}`));
    });
  });
}

/**
 * @param {string} path
 * @param {number} fd
 */
function release(path, fd) {
  // Somebody may have removed the file by hand; then what is there now is another process's lock.
  if (isFileAt(path, fd)) unlinkSync(path);
  closeSync(fd);
}

/**
 * @param {string} path
 * @param {number} fd
 */
function isFileAt(path, fd) {
  const there = statSync(path, { throwIfNoEntry: false });
  const open = fstatSync(fd);
  return there !== undefined && there.ino === open.ino && there.dev === open.dev;
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
