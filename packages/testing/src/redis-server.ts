import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { chooseRedis, type RedisChoice } from "./docker-redis-choice.ts";
import { freePort } from "./free-port.ts";

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly kind: "container" | "process";
  readonly port: number;
  /** Of a spawned server only: what a test kills to see Redis die. */
  readonly pid?: number;
}

export interface RedisServerOptions {
  /** `"process"` where the test must kill or restart the very process. Otherwise the run's choice. */
  kind?: "process";
  /** Append-only file, synced every second as in production; on unless told otherwise. */
  appendOnly?: boolean;
  /**
   * When the append-only file is synced, once a second unless told. With `everysec` Redis also puts off *writing* for up
   * to two seconds while a sync is slow (flushAppendOnlyFile in its aof.c): a server that is killed then has lost what
   * it had acknowledged. With `always` nothing is lost that was.
   */
  appendSync?: "always" | "everysec";
  /** redis.conf's size notation, such as `"32mb"`; no limit unless told. */
  maxMemory?: string;
  /** Fixed port, for a server that comes back where it was. Spawned servers only. */
  port?: number;
  /** Kept when the server ends, for a server that finds its data again. Spawned servers only. */
  dataDir?: string;
  /** A write past the limit of `limitFileSize` is an error to it, as on a full disk, and not its end. Spawned servers only. */
  survivesFullDisk?: boolean;
}

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 3_000;
const PORT_ATTEMPTS = 5;

/** A Redis of its own for one test file: empty, on a loopback port, gone when disposed. Resolves when PING answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const choice = await chooseRedis();
  const needsProcess =
    options.kind === "process" || options.port !== undefined || options.dataDir !== undefined;
  if (choice.kind === "container" && !needsProcess) return startContainer(choice, options);
  return spawnRedis(choice.kind === "process" ? choice.binary : "redis-server", options);
}

async function startContainer(
  choice: RedisChoice & { kind: "container" },
  options: RedisServerOptions,
): Promise<RedisServer> {
  // Loaded here only: testcontainers takes half a second, which a spawned server's test need not pay.
  const { startRedisContainer } = await import("./docker-redis.ts");
  const container = await startRedisContainer(choice.host, choice.image, redisArgs(options));
  const { host, port } = container;
  try {
    await answeringPid(host, port, AbortSignal.timeout(START_TIMEOUT_MS));
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
  return {
    url: `redis://${host}:${port}`,
    kind: "container",
    port,
    [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
  };
}

async function spawnRedis(binary: string, options: RedisServerOptions): Promise<RedisServer> {
  const attempts = options.port === undefined ? PORT_ATTEMPTS : 1;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await spawnOn(binary, options.port ?? (await freePort()), options);
    if ("server" in outcome) return outcome.server;
    if (outcome.failure !== "port taken" || attempt === attempts) {
      throw new Error(`${binary} did not start: ${outcome.failure}`);
    }
  }
}

async function spawnOn(
  binary: string,
  port: number,
  options: RedisServerOptions,
): Promise<{ server: RedisServer } | { failure: string }> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "quern-redis-")));
  const args = [...redisArgs(options), "--port", String(port), "--bind", "127.0.0.1", "--dir", dataDir];
  // A signal that is ignored stays so over `exec`.
  const command = options.survivesFullDisk
    ? ["/bin/sh", "-c", 'trap "" XFSZ; exec "$0" "$@"', binary, ...args]
    : [binary, ...args];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  // A test process that ends without disposing takes its server along.
  const killChild = () => child.kill("SIGKILL");
  process.once("exit", killChild);
  const log = collectLog(child);
  const stop = async () => {
    await stopProcess(child);
    process.off("exit", killChild);
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  const failure = await startFailure(child, port, log);
  if (failure !== null) {
    await stop();
    return { failure };
  }
  return {
    server: {
      url: `redis://127.0.0.1:${port}`,
      kind: "process",
      port,
      ...(child.pid === undefined ? {} : { pid: child.pid }),
      [Symbol.asyncDispose]: stop,
    },
  };
}

function redisArgs({ appendOnly = true, appendSync = "everysec", maxMemory }: RedisServerOptions): string[] {
  return [
    ...["--appendonly", appendOnly ? "yes" : "no", "--appendfsync", appendSync, "--save", ""],
    ...["--maxmemory-policy", "noeviction"],
    // Its title would overwrite its environment, by which a test run finds what it left behind.
    ...["--set-proc-title", "no"],
    ...(maxMemory === undefined ? [] : ["--maxmemory", maxMemory]),
  ];
}

/** The last lines of what the process prints, for the error of a failed start. */
function collectLog(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-4_096);
    });
  }
  return () => text;
}

/** null once *this* process answers on the port: another server there would answer with another pid. */
async function startFailure(child: ChildProcess, port: number, log: () => string): Promise<string | null> {
  const spawned = await once(child, "spawn").catch((error: Error) => error);
  if (spawned instanceof Error) return spawned.message;
  const giveUp = new AbortController();
  const timeout = AbortSignal.timeout(START_TIMEOUT_MS);
  const ended = once(child, "close", { signal: giveUp.signal }).then(
    () => (/Address already in use/i.test(log()) ? "port taken" : lastLine(log())),
    () => "given up",
  );
  const answered = answeringPid("127.0.0.1", port, AbortSignal.any([giveUp.signal, timeout])).then(
    (pid) => (pid === child.pid ? null : "port taken"),
    (error: Error) => `${error.message}: ${lastLine(log())}`,
  );
  try {
    return await Promise.race([ended, answered]);
  } finally {
    giveUp.abort();
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "it printed nothing";
}

/** The pid of the server that answers PING there, asked again and again until one does. */
async function answeringPid(host: string, port: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    const redis = new Redis({
      host,
      port,
      lazyConnect: true,
      retryStrategy: () => null,
      connectTimeout: 1_000,
      commandTimeout: 1_000,
      maxRetriesPerRequest: 0,
    });
    // ioredis prints a connection error that nobody listens to; the rejected command carries it as well.
    redis.on("error", () => {});
    try {
      await redis.connect();
      await redis.ping();
      return Number(/process_id:(\d+)/.exec(await redis.info("server"))?.[1]);
    } catch (error) {
      if (signal.aborted) throw new Error(`no PING answered on port ${port} in time`, { cause: error });
    } finally {
      redis.disconnect();
    }
    await sleep(20, undefined, { ref: true });
  }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGTERM");
  const hardStop = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await closed;
  clearTimeout(hardStop);
}
