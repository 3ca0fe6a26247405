import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { QuernError } from "../contract/errors.ts";

const run = promisify(execFile);

/** A Redis server program of this machine. Valkey is a Redis in all that Quern needs. */
export interface RedisBinary {
  command: string;
  version: string;
}

const COMMANDS = ["redis-server", "valkey-server"];
/** Streams take ids of the form `<attempt>-*` from version 7 on. */
export const LOWEST_REDIS_MAJOR = 7;
const INSTALL_TIMEOUT_MS = 180_000;

/** The first one on PATH that is new enough; null: none is. */
export async function findRedisBinary(): Promise<RedisBinary | null> {
  for (const command of COMMANDS) {
    const version = await versionOf(command);
    if (version !== null && Number(version.split(".")[0]) >= LOWEST_REDIS_MAJOR) return { command, version };
  }
  return null;
}

/**
 * Finds one or installs Debian's package, which is a matter of one command for root on Debian and Ubuntu.
 * @param say hears what is about to be done to the machine.
 * @throws QuernError `redis_unsuitable` with the commands for other systems.
 */
export async function findOrInstallRedis(say: (line: string) => void): Promise<RedisBinary> {
  const found = await findRedisBinary();
  if (found !== null) return found;
  if (process.getuid?.() !== 0 || !(await succeeds("apt-get", ["--version"])))
    throw notToBeHad("it is not installed");
  say("Installing Redis: apt-get install redis-server (its own service is not started).");
  const failure = await installPackage();
  const installed = await findRedisBinary();
  if (installed === null) throw notToBeHad(failure ?? `the package is older than ${LOWEST_REDIS_MAJOR}.0`);
  return installed;
}

/** null, or why it failed. RUNLEVEL=1 keeps the package from starting a service of its own. */
async function installPackage(): Promise<string | null> {
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const options = { env, timeout: INSTALL_TIMEOUT_MS };
  try {
    await run("apt-get", ["update", "-qq"], options);
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "redis-server"], options);
    return null;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split("\n").at(-1);
    return `apt-get failed: ${said || (error as Error).message}`;
  }
}

function notToBeHad(why: string): QuernError {
  return new QuernError(
    "redis_unsuitable",
    `Quern needs Redis ${LOWEST_REDIS_MAJOR} or newer, and ${why}. Install it (Debian, Ubuntu: sudo apt-get install redis-server; ` +
      "macOS: brew install redis), or run one (docker run -p 6379:6379 redis:7 redis-server --appendonly yes) and set " +
      "REDIS_URL=redis://127.0.0.1:6379",
  );
}

async function versionOf(command: string): Promise<string | null> {
  try {
    const { stdout } = await run(command, ["--version"]);
    return /v=(\S+)/.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}

async function succeeds(command: string, args: string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}
