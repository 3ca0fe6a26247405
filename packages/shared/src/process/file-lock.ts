import { QuernError } from "../contract/errors.ts";
import { type KernelLock, LocksUnavailableError, tryKernelLock, waitForKernelLock } from "./kernel-lock.mjs";

/** Disposed, it is released and its file removed. */
export interface FileLock extends Disposable {
  /** A child that inherits it keeps the lock until it ends. */
  readonly fd: number;
}

export interface FileLockOptions {
  signal: AbortSignal;
  /** Called once when another process holds the lock. */
  onWait?: (() => void) | undefined;
}

/**
 * Takes the lock of a file, which is created when it is missing.
 * @returns null when another process holds it.
 * @throws QuernError `config_invalid` where no lock can be had.
 */
export async function tryLockFile(path: string): Promise<FileLock | null> {
  const lock = await explained(path, tryKernelLock(path));
  return lock === null ? null : disposable(lock);
}

/**
 * Waits for the lock of a file, which is created when it is missing.
 * @throws QuernError `config_invalid` where no lock can be had; an AbortError.
 */
export async function lockFile(path: string, options: FileLockOptions): Promise<FileLock> {
  return disposable(await explained(path, waitForKernelLock(path, options)));
}

async function explained<Value>(path: string, taking: Promise<Value>): Promise<Value> {
  try {
    return await taking;
  } catch (error) {
    if (!(error instanceof LocksUnavailableError)) throw error;
    throw new QuernError("config_invalid", `${path} can't be locked: ${error.message}`, { cause: error });
  }
}

function disposable({ fd, release }: KernelLock): FileLock {
  return { fd, [Symbol.dispose]: release };
}
