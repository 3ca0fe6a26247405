import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectRedis } from "@quern/shared/redis/connect";
import { clockSkew } from "@quern/testing/clock-skew";
import { type ClusterProcess, startProcess, stopProcess } from "@quern/testing/cluster";
import { freePort } from "@quern/testing/free-port";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { startTcpProxy, type TcpProxy } from "@quern/testing/tcp-proxy";
import type { Redis } from "ioredis";
import { WEBHOOK_RETRY_SECONDS } from "./load/webhooks.ts";
import { CONTEXT_TOKENS } from "./script.ts";

/** Short, so that a run sees many take-overs, and long against the pauses of a busy machine. */
export const LEASE_MS = 4_000;
/** Below the 30 s that a worker has unless told, and far above any pause of a busy machine. */
export const STEP_TIMEOUT_MS = 10_000;
/** How often workers look for lapsed leases (`job-consumer.ts`). */
export const STALLED_CHECK_MS = Math.min(5_000, LEASE_MS);
const RESTART_PAUSE_MS = 100;
/** Some seconds as a rule; a process that takes so long on a busy machine won't start at all. */
const START_TIMEOUT_MS = 120_000;
const APPS = join(import.meta.dirname, "..", "..", "apps");

type App = "gateway" | "worker" | "scheduler";

/** A place in the cluster: its process is started again whenever it dies, with the same clock, port and network. */
export interface Place {
  readonly name: string;
  readonly app: App;
  readonly clockOffsetMs: number;
  /** Between its process and Redis. */
  readonly proxy: TcpProxy;
  /** Of a gateway. */
  readonly url: string | null;
  /** null while none is ready. */
  process: ClusterProcess | null;
}

export interface ChaosClusterOptions {
  folder: string;
  modelPath: string;
  workers: number;
  slotsPerWorker: number;
  gateways: number;
  clockOffsetMs: () => number;
}

/** Gateways, workers, the scheduler if there is one, and Redis, each of which may be killed at any time. */
export class ChaosCluster implements AsyncDisposable {
  readonly places: Place[] = [];
  /** What ended without being told to. */
  readonly unexpectedDeaths: string[] = [];
  /** Past all proxies, for the one who watches. Waits while Redis is away. */
  readonly redis: Redis;
  readonly #options: ChaosClusterOptions;
  readonly #redisPort: number;
  readonly #stack = new AsyncDisposableStack();
  readonly #keepers: Promise<void>[] = [];
  readonly #closing = new AbortController();
  readonly #told = new Set<number>();
  /** By the name of its place: how a process that never got ready ended last. */
  readonly #failures = new Map<string, string>();
  #server: RedisServer;

  private constructor(options: ChaosClusterOptions, server: RedisServer) {
    this.#options = options;
    this.#server = server;
    this.#redisPort = server.port;
    this.redis = connectRedis(server.url, "work", () => {});
  }

  static async start(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const cluster = new ChaosCluster(options, await startServer(options.folder, await freePort()));
    try {
      await cluster.#fill();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  of(app: App): Place[] {
    return this.places.filter((place) => place.app === app);
  }

  /** Of those whose process is ready. */
  get gatewayUrls(): string[] {
    return this.of("gateway").flatMap(({ process, url }) => (process === null || url === null ? [] : [url]));
  }

  get redisPid(): number {
    return this.#server.pid as number;
  }

  /** Every place has a process again. @throws Error with what the one that won't start has printed. */
  async whole(): Promise<void> {
    const giveUpAtMs = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const missing = this.places.find(({ process }) => process === null);
      if (missing === undefined || this.#closing.signal.aborted) return;
      if (performance.now() > giveUpAtMs) {
        throw new Error(
          `${missing.name} does not start: ${this.#failures.get(missing.name) ?? "it says nothing"}`,
        );
      }
      await sleep(20);
    }
  }

  async kill(place: Place): Promise<void> {
    const { process } = place;
    if (process === null) return;
    place.process = null;
    this.#told.add(process.pid);
    await process.kill("SIGKILL");
  }

  /** Kills Redis; resolves when it is back with its data. */
  async restartRedis(pauseMs: number): Promise<void> {
    process.kill(this.redisPid, "SIGKILL");
    await this.#server[Symbol.asyncDispose]();
    await sleep(pauseMs);
    this.#server = await startServer(this.#options.folder, this.#redisPort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all(
      this.places.map(async ({ process, proxy }) => {
        proxy.enter({ kind: "pass", latencyMs: 0 });
        if (process !== null) await stopProcess(process);
      }),
    );
    await Promise.all(this.#keepers);
    await this.#stack.disposeAsync();
    this.redis.disconnect();
    await this.#server[Symbol.asyncDispose]();
  }

  async #fill(): Promise<void> {
    const { workers, gateways } = this.#options;
    for (let i = 1; i <= gateways; i++) await this.#open("gateway", `gateway-${i}`);
    for (let i = 1; i <= workers; i++) await this.#open("worker", `worker-${i}`);
    if (existsSync(join(APPS, "scheduler", "src", "main.ts"))) await this.#open("scheduler", "scheduler-1");
    await this.whole();
  }

  async #open(app: App, name: string): Promise<void> {
    const proxy = this.#stack.use(await startTcpProxy({ port: this.#redisPort }));
    const port = app === "gateway" ? await freePort() : null;
    const clockOffsetMs = this.#options.clockOffsetMs();
    const url = port === null ? null : `http://127.0.0.1:${port}`;
    const place: Place = { name, app, clockOffsetMs, proxy, url, process: null };
    this.places.push(place);
    this.#keepers.push(this.#keep(place, this.#environment(place, port)));
  }

  #environment({ app, proxy, clockOffsetMs }: Place, port: number | null): Record<string, string> {
    const { folder, modelPath, slotsPerWorker } = this.#options;
    return {
      REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
      QUERN_LOG_LEVEL: "warn",
      QUERN_FILES: join(folder, "files"),
      QUERN_WEBHOOK_ALLOW_PRIVATE: "true",
      QUERN_WEBHOOK_RETRY_SECONDS: WEBHOOK_RETRY_SECONDS,
      ...clockSkew(clockOffsetMs),
      ...(port === null
        ? {}
        : { QUERN_HOST: "127.0.0.1", QUERN_PORT: String(port), QUERN_DRAIN_GRACE_SECONDS: "3" }),
      ...(app === "worker"
        ? {
            QUERN_MODEL: modelPath,
            QUERN_THREADS: "1",
            QUERN_SLOTS: String(slotsPerWorker),
            QUERN_CONTEXT_TOKENS: String(CONTEXT_TOKENS),
            QUERN_LEASE_SECONDS: String(LEASE_MS / 1_000),
            QUERN_STEP_TIMEOUT_SECONDS: String(STEP_TIMEOUT_MS / 1_000),
          }
        : {}),
    };
  }

  /** Starts the place's process again and again, until the cluster closes. */
  async #keep(place: Place, env: Record<string, string>): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        const started = await startProcess(place.app, env);
        if (this.#closing.signal.aborted) {
          await stopProcess(started);
          return;
        }
        place.process = started;
        const ended = await started.exited;
        place.process = null;
        if (!this.#told.has(started.pid) && !this.#closing.signal.aborted) {
          this.unexpectedDeaths.push(`${place.name} ended with ${ended}`);
        }
        await this.#keepOutput(place, started.pid, started.output());
      } catch (error) {
        // Before it was ready: as a process that is started while Redis is away may be.
        this.#failures.set(place.name, String(error));
        await this.#keepOutput(place, 0, String(error));
      }
      await sleep(RESTART_PAUSE_MS);
    }
  }

  async #keepOutput({ name }: Place, pid: number, output: string): Promise<void> {
    if (output === "") return;
    const logs = join(this.#options.folder, "logs");
    await mkdir(logs, { recursive: true });
    await writeFile(join(logs, `${name}.log`), `--- process ${pid}\n${output}\n`, { flag: "a" });
  }
}

async function startServer(folder: string, port: number): Promise<RedisServer> {
  const dataDir = join(folder, "redis");
  await mkdir(dataDir, { recursive: true });
  // Synced always: what is acknowledged is kept, or the promise would hang on how slow the disk is when Redis dies.
  return startRedis({ kind: "process", port, dataDir, appendSync: "always", survivesFullDisk: true });
}
