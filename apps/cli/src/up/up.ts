import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { aborted } from "@quern/shared/process/aborted";
import { findOrInstallRedis } from "@quern/shared/process/redis-binary";
import type { CliConfig } from "../config.ts";
import { engineVariables } from "../engine-flags.ts";
import { checkPort } from "./check-port.ts";
import { checkOwnRedis, withoutPassword } from "./own-redis.ts";
import { prepareModels } from "./prepare-models.ts";
import { startPrivateRedis } from "./private-redis.ts";
import { readyLines } from "./ready-lines.ts";
import type { StopSignals } from "./stop-signals.ts";
import { SupervisedChild } from "./supervised-child.ts";
import type { UpOptions } from "./up-command.ts";

const GATEWAY_MAIN = new URL("../../../gateway/src/main.ts", import.meta.url);
const SCHEDULER_MAIN = new URL("../../../scheduler/src/main.ts", import.meta.url);
const WORKER_MAIN = new URL("../../../worker/src/main.ts", import.meta.url);

/** Everything has ended ten seconds after it was told to; who has not by then is killed. */
const STOP_TIMEOUT_MS = 8_000;
/** Leaves workers and scheduler time to hand back what does not end. */
const DRAIN_GRACE_SECONDS = 4;
const READY_POLL_INTERVAL_MS = 50;

/**
 * Runs all of Quern on this machine until it is told to stop: Redis first and ended last, then gateway, scheduler and workers.
 * Whatever fails on the way up ends everything with its one line.
 */
export async function runUp(options: UpOptions, config: CliConfig, signals: StopSignals): Promise<void> {
  const force = new AbortController();
  signals.force.addEventListener("abort", () => force.abort(), { once: true });
  const started: ((force: AbortSignal) => Promise<void>)[] = [];
  try {
    await start(options, config, signals.stop, started);
    await aborted(signals.stop);
    console.log("Draining; Ctrl-C again stops at once.");
  } catch (error) {
    if (!signals.stop.aborted) throw error;
  } finally {
    const timer = setTimeout(() => force.abort(), STOP_TIMEOUT_MS);
    // The last started first: Redis stays until all others have written what they have.
    for (const stop of started.reverse()) await stop(force.signal);
    clearTimeout(timer);
  }
  console.log("Quern has stopped.");
}

async function start(
  options: UpOptions,
  config: CliConfig,
  stop: AbortSignal,
  started: ((force: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const port = await checkPort(options.host, options.port);
  await prepareModels(options.models, config.models, stop);
  const redisUrl = await findRedis(options, config, started);
  stop.throwIfAborted();

  const env = {
    QUERN_FILES: resolve(options.dataDir, "files"),
    ...config.childEnv,
    REDIS_URL: redisUrl,
  };
  const gateway = new SupervisedChild(
    {
      name: "gateway",
      main: GATEWAY_MAIN,
      env: {
        ...env,
        QUERN_HOST: options.host,
        QUERN_PORT: String(port),
        QUERN_DRAIN_GRACE_SECONDS: String(DRAIN_GRACE_SECONDS),
      },
    },
    console.error,
  );
  const scheduler = new SupervisedChild(
    {
      name: "scheduler",
      main: SCHEDULER_MAIN,
      env: { ...env, QUERN_DRAIN_GRACE_SECONDS: String(DRAIN_GRACE_SECONDS) },
    },
    console.error,
  );
  const workers = options.models
    .flatMap((model) => Array.from({ length: options.workers }, () => model))
    .map((model, worker) => workerOf(model, worker, options, env));
  const children = [gateway, scheduler, ...workers];
  started.push(async (force) => {
    await Promise.all(children.map((child) => child.stop(force)));
  });
  console.log(
    `Starting the gateway, the scheduler and ${workers.length} worker${workers.length === 1 ? "" : "s"}.`,
  );
  await Promise.race([Promise.all(children.map((child) => child.start())), rejectedWhenAborted(stop)]);

  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  const url = `http://${host}:${port}`;
  await untilReady(url, stop);
  const [firstModel = ""] = options.models;
  const first = findModel(await loadCatalogue(config.models.modelsFile), firstModel);
  for (const line of readyLines(url, first)) console.log(line);
}

async function findRedis(
  { dataDir }: UpOptions,
  { redisUrl, childEnv }: CliConfig,
  started: ((force: AbortSignal) => Promise<void>)[],
): Promise<string> {
  if (redisUrl !== null) {
    for (const warning of await checkOwnRedis(redisUrl)) console.error(warning);
    console.log(`Redis: ${withoutPassword(redisUrl)} (REDIS_URL).`);
    return redisUrl;
  }
  const binary = await findOrInstallRedis(console.log);
  const redis = await startPrivateRedis(binary, dataDir, childEnv, console.error);
  started.push(redis.stop);
  console.log(
    `Redis: a private ${binary.command} ${binary.version} on port ${redis.port}, data in ${dataDir}/redis.`,
  );
  return redis.url;
}

function workerOf(
  model: string,
  worker: number,
  { engine, threads, cores }: UpOptions,
  env: NodeJS.ProcessEnv,
): SupervisedChild {
  return new SupervisedChild(
    {
      name: `worker of ${model}`,
      main: WORKER_MAIN,
      env: {
        ...env,
        QUERN_MODEL: model,
        QUERN_CORES: String(cores),
        QUERN_DRAIN_GRACE_SECONDS: String(DRAIN_GRACE_SECONDS),
        ...(threads === null ? {} : { QUERN_THREADS: String(threads) }),
        ...engineVariables(engine, worker),
      },
    },
    console.error,
  );
}

async function untilReady(url: string, stop: AbortSignal): Promise<void> {
  for (;;) {
    stop.throwIfAborted();
    const reply = await fetch(`${url}/readyz`).catch(() => null);
    if (reply?.ok) return;
    await sleep(READY_POLL_INTERVAL_MS);
  }
}

async function rejectedWhenAborted(signal: AbortSignal): Promise<never> {
  await aborted(signal);
  throw signal.reason;
}
