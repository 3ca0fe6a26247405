import { ftruncateSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { type FileLock, type FileLockOptions, lockFile, tryLockFile } from "@quern/shared/process/file-lock";

/** A Redis whose supervisor was killed ends by itself within this time (`redis-guardian.ts`). */
const PREDECESSOR_TIMEOUT_MS = 12_000;
/** A holder has written who it is by then. */
const RECORD_DELAY_MS = 100;

/**
 * Makes this process the one supervisor of a data directory, for as long as the lock is held.
 * @throws QuernError `redis_unsuitable` when another supervisor has it.
 */
export async function claimDataFolder(folder: string, dataDir: string): Promise<FileLock> {
  const path = join(folder, "supervisor.lock");
  let lock = await tryLockFile(path);
  if (lock === null) {
    await sleep(RECORD_DELAY_MS);
    lock = await tryLockFile(path);
  }
  if (lock === null) {
    throw new QuernError(
      "redis_unsuitable",
      `another Quern (${await holderOf(path)}) uses the data directory ${dataDir}: stop it, or choose another with --data-dir`,
    );
  }
  // Only for the message above: the kernel says whether the lock is held.
  ftruncateSync(lock.fd);
  writeSync(lock.fd, `process ${process.pid} on ${hostname()}`);
  return lock;
}

/**
 * Takes the right to run a Redis on a data directory. The Redis inherits the lock, so that no second one starts on its
 * append-only file, even when supervisor and guardian were killed. Waits for a predecessor that is ending.
 * @param onWait is called once when there is one.
 * @throws QuernError `redis_unsuitable` when the predecessor does not end; an AbortError.
 */
export async function claimAppendOnlyFile(
  folder: string,
  { signal, onWait }: FileLockOptions,
): Promise<FileLock> {
  const path = join(folder, "redis.lock");
  const timeout = AbortSignal.timeout(PREDECESSOR_TIMEOUT_MS);
  try {
    return await lockFile(path, { signal: AbortSignal.any([signal, timeout]), onWait });
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error;
    throw new QuernError(
      "redis_unsuitable",
      `a Redis of an earlier Quern still uses ${folder}: stop it ('fuser -v ${path}' shows its process), or choose another data directory with --data-dir`,
    );
  }
}

async function holderOf(path: string): Promise<string> {
  const record = await readFile(path, "utf8").catch(() => "");
  return record === "" ? "an unknown process" : record;
}
