import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { QuernError } from "@quern/shared/contract/errors";
import type { RedisBinary } from "@quern/shared/process/redis-binary";
import { claimDataFolder } from "./claim-data-folder.ts";
import { SupervisedChild } from "./supervised-child.ts";

const GUARDIAN_MAIN = new URL("./redis-guardian.ts", import.meta.url);

export interface PrivateRedis {
  readonly url: string;
  readonly port: number;
  stop(force: AbortSignal): Promise<void>;
}

/**
 * A Redis of our own: its data in `<dataDir>/redis`, append-only, on a free loopback port, with a random password that
 * only this user can read. It runs under a guardian, so that it ends even when this process is killed.
 * @throws QuernError `redis_unsuitable` when another Quern uses the data directory.
 */
export async function startPrivateRedis(
  binary: RedisBinary,
  dataDir: string,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<PrivateRedis> {
  const folder = resolve(dataDir, "redis");
  await makeFolder(folder);
  const claim = await claimDataFolder(folder, dataDir);
  try {
    const port = await freePort();
    const password = randomBytes(24).toString("base64url");
    const configFile = join(folder, "redis.conf");
    await writeFile(configFile, redisConfig(folder, port, password), { mode: 0o600 });
    await chmod(configFile, 0o600);
    const args = [binary.command, configFile];
    const guardian = new SupervisedChild({ name: "Redis's guardian", main: GUARDIAN_MAIN, args, env }, say);
    await guardian.start();
    return {
      url: `redis://:${password}@127.0.0.1:${port}`,
      port,
      stop: async (force) => {
        await guardian.stop(force);
        claim[Symbol.dispose]();
      },
    };
  } catch (error) {
    claim[Symbol.dispose]();
    throw error;
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new QuernError(
      "config_invalid",
      `the data directory can't be made: ${(error as Error).message}; choose another with --data-dir`,
      { cause: error },
    );
  }
}

/** https://redis.io/docs/latest/operate/oss_and_stack/management/config/ */
function redisConfig(folder: string, port: number, password: string): string {
  return [
    "# Written at every start.",
    "bind 127.0.0.1",
    `port ${port}`,
    `requirepass ${password}`,
    `dir "${folder.replaceAll(/["\\]/g, "\\$&")}"`,
    `pidfile "${join(folder, "redis.pid").replaceAll(/["\\]/g, "\\$&")}"`,
    "daemonize no",
    "# Accepted work must outlive a crash, and must never be dropped for room.",
    "appendonly yes",
    "appendfsync always",
    'save ""',
    "maxmemory-policy noeviction",
    "loglevel warning",
    "# Its title would overwrite its environment, by which processes are told apart.",
    "set-proc-title no",
    "",
  ].join("\n");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
