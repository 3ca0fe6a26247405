import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { environmentWith } from "./docker-config.ts";
import { freePort } from "./free-port.ts";
import { type RedisServer, type RedisServerOptions, startRedis } from "./redis-server.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const STOP_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 20;

/** A process of a cluster under test. */
export interface ClusterProcess {
  readonly name: string;
  readonly pid: number;
  /** What it wrote so far, to both of its outputs. */
  output(): string;
  /** Resolves when it has ended, by whatever. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Sends a signal; resolves with the exit code, or the signal that ended it. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface WorkerOptions {
  model?: string;
  slots?: number;
  env?: Record<string, string>;
}

export interface Cluster extends AsyncDisposable {
  readonly url: string;
  readonly redis: RedisServer;
  readonly gateways: ClusterProcess[];
  readonly workers: ClusterProcess[];
  readonly schedulers: ClusterProcess[];
  /** Resolves when the worker takes jobs. */
  startWorker(options?: WorkerOptions): Promise<ClusterProcess>;
  /** Another gateway on the same Redis; resolves with its address when it answers. */
  startGateway(): Promise<string>;
  /** Resolves when the scheduler sweeps, or stands by. */
  startScheduler(env?: Record<string, string>): Promise<ClusterProcess>;
}

export interface ClusterOptions {
  workers?: WorkerOptions[];
  /** The environment of each; one, unless told. */
  schedulers?: Record<string, string>[];
  /** For every process of it. */
  env?: Record<string, string>;
  redis?: RedisServerOptions;
}

/** Gateway, workers, a scheduler and a Redis of their own, as separate processes; ready to answer. One thread an engine. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  let parts = stack;
  const redis = stack.use(await startRedis(options.redis));
  const gateways: ClusterProcess[] = [];
  const workers: ClusterProcess[] = [];
  const schedulers: ClusterProcess[] = [];
  const files = await mkdtemp(join(tmpdir(), "quern-cluster-files-"));
  stack.defer(() => rm(files, { recursive: true, force: true }));
  const env = { REDIS_URL: redis.url, QUERN_FILES: files, QUERN_LOG_LEVEL: "info", ...options.env };

  const start = async (app: string, extra: Record<string, string>): Promise<ClusterProcess> => {
    const started = await startProcess(app, { ...env, ...extra });
    parts.defer(() => stopProcess(started));
    return started;
  };
  const startWorker = async ({ model, slots = 8, env: workerEnv }: WorkerOptions = {}) => {
    const worker = await start("worker", {
      QUERN_THREADS: "1",
      QUERN_SLOTS: String(slots),
      ...(model === undefined ? {} : { QUERN_MODEL: model }),
      ...workerEnv,
    });
    workers.push(worker);
    return worker;
  };
  const startGateway = async () => {
    const port = await freePort();
    gateways.push(
      await start("gateway", {
        QUERN_HOST: "127.0.0.1",
        QUERN_PORT: String(port),
        // A test that leaves a stream open need not wait for it.
        QUERN_DRAIN_GRACE_SECONDS: "3",
      }),
    );
    return `http://127.0.0.1:${port}`;
  };

  const startScheduler = async (schedulerEnv: Record<string, string> = {}) => {
    const scheduler = await start("scheduler", schedulerEnv);
    schedulers.push(scheduler);
    return scheduler;
  };

  const [url] = await Promise.all([
    startGateway(),
    ...(options.workers ?? [{}]).map(startWorker),
    ...(options.schedulers ?? [{}]).map(startScheduler),
  ]);
  parts = stack.move();
  const dispose = () => parts.disposeAsync();
  const processes = { gateways, workers, schedulers };
  const starters = { startWorker, startGateway, startScheduler };
  return { url, redis, ...processes, ...starters, [Symbol.asyncDispose]: dispose };
}

/** Resolves when the process says that it is ready; rejects with what it printed when it ends before. */
export async function startProcess(app: string, env: Record<string, string>): Promise<ClusterProcess> {
  const child = fork(join(ROOT, "apps", app, "src", "main.ts"), {
    execArgv: [],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: environmentWith(env),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  }
  const killWithTest = () => child.kill("SIGKILL");
  process.once("exit", killWithTest);
  child.once("exit", () => process.off("exit", killWithTest));

  const ended = new AbortController();
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("exit", (code, signal) => {
      ended.abort();
      resolve(signal ?? code ?? 0);
    });
  });
  try {
    for (;;) {
      const [message] = await once(child, "message", { signal: ended.signal });
      const { type, message: fatal } = message as { type?: unknown; message?: string };
      if (type === "ready") break;
      if (type === "fatal") output += fatal;
    }
  } catch {
    throw new Error(`the ${app} ended before it was ready:\n${output}`);
  }
  const pid = child.pid as number;
  return { name: app, pid, output: () => output, exited, kill: (signal) => end(child, signal) };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
  if (child.exitCode !== null || child.signalCode !== null) return child.signalCode ?? child.exitCode ?? 0;
  const exited = once(child, "exit");
  child.kill(signal);
  const [code, endedBy] = await exited;
  return endedBy ?? code;
}

export async function stopProcess(started: ClusterProcess): Promise<void> {
  const patience = setTimeout(() => void started.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await started.kill("SIGTERM");
  clearTimeout(patience);
}

/** Another gateway, once it can accept jobs: it answers before it has reached Redis. */
export async function startReadyGateway(cluster: Cluster): Promise<string> {
  const url = await cluster.startGateway();
  await until(async () => (await fetch(`${url}/readyz`)).ok);
  return url;
}

/** Asks again and again until the condition holds; the test's own time-out ends it otherwise. */
export async function until<Value>(
  condition: () => Promise<Value | null | undefined | false>,
): Promise<Value> {
  for (;;) {
    const value = await condition();
    if (value !== null && value !== undefined && value !== false) return value;
    await sleep(POLL_INTERVAL_MS);
  }
}
