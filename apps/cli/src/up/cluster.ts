import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { rejectedWhenAborted } from "@quern/shared/process/aborted";
import { findOrInstallRedis } from "@quern/shared/process/redis-binary";
import { engineVariables } from "../engine-flags.ts";
import type { ModelsSettings } from "../models/models-command.ts";
import { checkPort } from "./check-port.ts";
import { checkOwnRedis, withoutPassword } from "./own-redis.ts";
import { prepareModels } from "./prepare-models.ts";
import { startPrivateRedis } from "./private-redis.ts";
import type { StopSignals } from "./stop-signals.ts";
import { type ChildOutput, SupervisedChild } from "./supervised-child.ts";
import type { UpOptions } from "./up-options.ts";

const GATEWAY_MAIN = new URL("../../../gateway/src/main.ts", import.meta.url);
const SCHEDULER_MAIN = new URL("../../../scheduler/src/main.ts", import.meta.url);
const WORKER_MAIN = new URL("../../../worker/src/main.ts", import.meta.url);

/** Everything has ended ten seconds after it was told to; who has not by then is killed. */
const STOP_TIMEOUT_MS = 8_000;
/** Leaves workers and scheduler time to hand back what does not end. */
const DRAIN_GRACE_SECONDS = 4;
const READY_POLL_INTERVAL_MS = 50;

export interface ClusterSettings {
  /** null: a private Redis. */
  redisUrl: string | null;
  models: ModelsSettings;
  /** What every process started from here inherits. */
  childEnv: NodeJS.ProcessEnv;
}

/** Where what is said goes: steps and complaints of the start, and what the processes print. */
export interface ClusterVoice {
  step: (line: string) => void;
  complain: (line: string) => void;
  output: ChildOutput;
}

type Stop = (force: AbortSignal) => Promise<void>;

/**
 * Runs all of Quern on this machine while `work` does: Redis first and ended last, then gateway, scheduler and workers. Stopping is
 * `work`'s to notice; whatever fails on the way up ends everything with its one line.
 */
export async function withCluster<Value>(
  options: UpOptions,
  settings: ClusterSettings,
  { signals, voice }: { signals: StopSignals; voice: ClusterVoice },
  work: (url: string) => Promise<Value>,
): Promise<Value> {
  const force = new AbortController();
  signals.force.addEventListener("abort", () => force.abort(), { once: true });
  const started: Stop[] = [];
  try {
    return await work(await start(options, settings, { stop: signals.stop, voice }, started));
  } finally {
    const timer = setTimeout(() => force.abort(), STOP_TIMEOUT_MS);
    // The last started first: Redis stays until all others have written what they have.
    for (const stop of started.reverse()) await stop(force.signal);
    clearTimeout(timer);
  }
}

/** Resolves with the gateway's address when jobs are taken. What has to be stopped is in `started`, also when it rejects. */
async function start(
  options: UpOptions,
  settings: ClusterSettings,
  { stop, voice }: { stop: AbortSignal; voice: ClusterVoice },
  started: Stop[],
): Promise<string> {
  const port = await checkPort(options.host, options.port);
  await prepareModels(options.models, settings.models, stop);
  const redisUrl = await findRedis(options, settings, voice, started);
  stop.throwIfAborted();

  const env = {
    QUERN_FILES: resolve(options.dataDir, "files"),
    ...settings.childEnv,
    REDIS_URL: redisUrl,
    QUERN_DRAIN_GRACE_SECONDS: String(DRAIN_GRACE_SECONDS),
  };
  const child = (name: string, main: URL, own: NodeJS.ProcessEnv) =>
    new SupervisedChild({ name, main, env: { ...env, ...own }, output: voice.output }, voice.complain);
  const workers = options.models
    .flatMap((model) => Array.from({ length: options.workers }, () => model))
    .map((model, worker) =>
      child(`worker of ${model}`, WORKER_MAIN, workerVariables(model, worker, options)),
    );
  const children = [
    child("gateway", GATEWAY_MAIN, { QUERN_HOST: options.host, QUERN_PORT: String(port) }),
    child("scheduler", SCHEDULER_MAIN, {}),
    ...workers,
  ];
  started.push(async (force) => {
    await Promise.all(children.map((child) => child.stop(force)));
  });
  voice.step(
    `Starting the gateway, the scheduler and ${workers.length} worker${workers.length === 1 ? "" : "s"}.`,
  );
  await Promise.race([Promise.all(children.map((child) => child.start())), rejectedWhenAborted(stop)]);

  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  const url = `http://${host}:${port}`;
  await untilReady(url, stop);
  return url;
}

async function findRedis(
  { dataDir }: UpOptions,
  { redisUrl, childEnv }: ClusterSettings,
  { step, complain }: ClusterVoice,
  started: Stop[],
): Promise<string> {
  if (redisUrl !== null) {
    for (const warning of await checkOwnRedis(redisUrl)) complain(warning);
    step(`Redis: ${withoutPassword(redisUrl)} (REDIS_URL).`);
    return redisUrl;
  }
  const binary = await findOrInstallRedis(step);
  const redis = await startPrivateRedis(binary, dataDir, childEnv, complain);
  started.push(redis.stop);
  step(
    `Redis: a private ${binary.command} ${binary.version} on port ${redis.port}, data in ${dataDir}/redis.`,
  );
  return redis.url;
}

function workerVariables(
  model: string,
  worker: number,
  { engine, threads, cores }: UpOptions,
): NodeJS.ProcessEnv {
  return {
    QUERN_MODEL: model,
    QUERN_CORES: String(cores),
    ...(threads === null ? {} : { QUERN_THREADS: String(threads) }),
    ...engineVariables(engine, worker),
  };
}

async function untilReady(url: string, stop: AbortSignal): Promise<void> {
  for (;;) {
    stop.throwIfAborted();
    const reply = await fetch(`${url}/readyz`).catch(() => null);
    if (reply?.ok) return;
    await sleep(READY_POLL_INTERVAL_MS);
  }
}
