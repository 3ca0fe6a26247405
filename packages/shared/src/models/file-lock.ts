import { link, open, readFile, rename, stat, unlink, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";

/** The holder touches its lock this often; one untouched for STALE_MS belongs to nobody (a killed process). */
const HEARTBEAT_MS = 5_000;
const STALE_MS = 30_000;
const POLL_MS = 250;

interface FileLockOptions {
  signal: AbortSignal;
  /** Called once when somebody else holds the lock. */
  onWait?: () => void;
}

/** A file that exists while one process works on something that others share, on this machine or a shared disk. */
export async function lockFile(path: string, options: FileLockOptions): Promise<AsyncDisposable> {
  const owner = `${process.pid} ${hostname()} ${crypto.randomUUID()}\n`;
  let waited = false;
  while (!(await tryCreate(path, owner))) {
    if (await removeWhenAbandoned(path)) continue;
    if (!waited) options.onWait?.();
    waited = true;
    await delay(POLL_MS, undefined, { signal: options.signal });
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {}); // a missed beat is made up by the next
  }, HEARTBEAT_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat);
      if ((await readOwner(path)) === owner) await unlink(path);
    },
  };
}

async function tryCreate(path: string, owner: string): Promise<boolean> {
  try {
    await using file = await open(path, "wx");
    await file.writeFile(owner);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function removeWhenAbandoned(path: string): Promise<boolean> {
  const owner = await readOwner(path);
  if (owner === null) return true;
  if (!(await isAbandoned(path, owner))) return false;
  // Moving it aside first: between the look and the removal another process may have made the lock its own.
  const aside = `${path}.${crypto.randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
    throw error;
  }
  if ((await readOwner(aside)) !== owner) await link(aside, path).catch(() => {});
  await unlink(aside);
  return true;
}

async function isAbandoned(path: string, owner: string): Promise<boolean> {
  const touchedMs = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  if (Date.now() - touchedMs > STALE_MS) return true;
  const [pid, host] = owner.split(" ");
  return host === hostname() && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function readOwner(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
