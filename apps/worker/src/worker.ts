import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { ModelDescription, WorkerRegistration, WorkerState } from "@quern/shared/contract/worker";
import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { ensureModelFile } from "@quern/shared/models/download";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { aborted, rejectedWhenAborted } from "@quern/shared/process/aborted";
import { createLogger } from "@quern/shared/process/logger";
import { tellReady } from "@quern/shared/process/supervised";
import { startTelemetry } from "@quern/shared/process/telemetry";
import { connectRedis } from "@quern/shared/redis/connect";
import { refuseEviction } from "@quern/shared/redis/eviction-policy";
import type { WorkerConfig } from "./config.ts";
import { answerTokenCounts } from "./consumer/answer-token-counts.ts";
import { listenForCancels } from "./consumer/cancel-listener.ts";
import { JobConsumer } from "./consumer/job-consumer.ts";
import { RunningJobs } from "./consumer/running-jobs.ts";
import { type WorkerEvents, workerEvents } from "./events.ts";
import { downloadProgress } from "./model-download.ts";
import { type ModelOptions, modelOptions } from "./model-options.ts";
import type { LoadedModelFacts } from "./protocol/engine-options.ts";
import { JobMeasurements } from "./rates/job-measurements.ts";
import { Heartbeat } from "./registration/heartbeat.ts";
import { MAX_EMBEDDING_JOBS, SlotPool } from "./slots/slot-pool.ts";
import { EngineSupervisor } from "./supervise/engine-supervisor.ts";
import { Preparation } from "./supervise/preparation.ts";

/** Idle workers take suspects at once; only where all are busy for so long does one make room. */
const SUSPECT_PATIENCE_MS = 10_000;
/** The one cache scope where every tenant may share. */
const EVERYONE = "";

/**
 * A worker from its model file to its last job: load, take jobs until `stop`, drain. Resolves when all is closed.
 * @throws QuernError when the model can't be had or loaded.
 */
export async function runWorker(config: WorkerConfig, stop: AbortSignal): Promise<void> {
  const events = workerEvents(createLogger({ service: "worker", ...config.log }));
  await using _telemetry = await startTelemetry({
    enabled: config.telemetry,
    serviceName: "quern-worker",
    metrics: config.metrics,
  });

  const { entry, options } = await prepareModel(config, events, stop);
  await using worker = await startWorker(config, entry, options, events, stop);
  tellReady();
  await aborted(stop);
  await worker.drain(config.drainGraceMs);
}

async function prepareModel(
  { model, engine, telemetry }: WorkerConfig,
  events: WorkerEvents,
  stop: AbortSignal,
): Promise<{ entry: CatalogueEntry; options: ModelOptions }> {
  const entry = findModel(await loadCatalogue(model.catalogueFile), model.spec);
  const { cacheDir, hfEndpoint, hfToken } = model;
  const modelPath = await ensureModelFile(entry, {
    cacheDir,
    signal: stop,
    onProgress: downloadProgress(entry.alias, events),
    ...(hfEndpoint === null ? {} : { hfEndpoint }),
    ...(hfToken === null ? {} : { hfToken }),
  });
  const header = await readGgufHeader(modelPath);
  return { entry, options: modelOptions(engine, telemetry, entry, modelPath, header) };
}

interface RunningWorker extends AsyncDisposable {
  drain(graceMs: number): Promise<void>;
}

async function startWorker(
  config: WorkerConfig,
  entry: CatalogueEntry,
  options: ModelOptions,
  events: WorkerEvents,
  stop: AbortSignal,
): Promise<RunningWorker> {
  await using started = new AsyncDisposableStack();
  const redis = connectRedis(config.redisUrl, "work", events.redisError);
  started.defer(() => redis.disconnect());
  // Redis may be long in coming, and the worker told to stop before.
  await Promise.race([refuseEviction(redis), rejectedWhenAborted(stop)]);
  // Later it is said, and no more: its jobs are as safe as they were, and undone if it ended over this.
  redis.on("ready", () => void refuseEviction(redis).catch(events.redisUnfit));
  const subscriber = connectRedis(config.redisUrl, "subscribe", events.redisError);
  started.defer(() => subscriber.disconnect());

  const { slots } = options.engine;
  const { reservedSlots } = options;
  const pool = new SlotPool({ slots, reservedSlots });
  const runningJobs = new RunningJobs();
  const measurements = new JobMeasurements();
  let consumer: JobConsumer | null = null;
  let heartbeat: Heartbeat | null = null;
  let state: WorkerState = "loading";
  let health: "healthy" | "unhealthy" = "healthy";
  const enter = (next: WorkerState) => {
    // A draining worker stays that, whatever its engine does; an unhealthy one until it has recovered.
    if (state !== "draining") state = health === "unhealthy" && next !== "draining" ? "unhealthy" : next;
    void heartbeat?.beat();
  };

  const loadingSinceMs = performance.now();
  // While the engine loads, which takes longer. Its errors name the cure, so they come first.
  const preparing = Preparation.start(options.preparer, stop);
  // It is awaited later; a failure until then must not end the process.
  preparing.catch(() => {});
  started.defer(async () => (await preparing.catch(() => null))?.[Symbol.asyncDispose]());
  const { systemPrompts } = options.preparer;
  const warmPrefixes = systemPrompts.length === 0 ? [] : (await preparing).facts.warmPrefixes;
  const engines = await EngineSupervisor.start(
    options.engine,
    warmPrefixes,
    {
      occupied: (occupancy) => consumer?.observe(occupancy),
      ready: (engine) => {
        events.engineReady(engine.pid);
        enter("ready");
        consumer?.release("engine_down");
      },
      died: (pid, death) => {
        events.engineDied(pid, death, runningJobs.count);
        enter("engine_down");
        consumer?.hold("engine_down");
      },
      restartFailed: events.engineRestartFailed,
      unhealthy: (reason) => {
        events.unhealthy(reason);
        health = "unhealthy";
        enter("unhealthy");
      },
      recovered: () => {
        events.recovered();
        health = "healthy";
        enter("ready");
      },
    },
    stop,
    config.child,
  );
  started.defer(() => engines.close());
  const preparation = await preparing;
  const facts = engines.facts;
  events.modelLoaded(entry.alias, options.engine, facts, performance.now() - loadingSinceMs);

  const description = describeModel(entry, options, facts, preparation.facts.maxTokenBytes);
  const identity = {
    id: `worker_${randomUUID()}`,
    host: hostname(),
    pid: process.pid,
    startedAtMs: Date.now(),
  };
  heartbeat = new Heartbeat(redis, (): WorkerRegistration => {
    const enginePid = engines.current?.pid ?? null;
    return {
      ...identity,
      enginePid,
      slots,
      busy: pool.busySlots,
      batchSlots: options.engine.kind === "embedding" ? MAX_EMBEDDING_JOBS : pool.batchSlots,
      state,
      lastSeenAtMs: Date.now(),
      description,
      reservedSlots,
      ...measurements.current(),
    };
  });

  consumer = new JobConsumer({
    redis,
    model: entry.alias,
    workerId: identity.id,
    slots,
    pool,
    leaseMs: config.leaseMs,
    suspectPatienceMs: SUSPECT_PATIENCE_MS,
    retentionSeconds: config.retentionSeconds,
    engines,
    preparation,
    cacheScopeOf: options.prefixSharing === "all" ? () => EVERYONE : (tenant) => tenant,
    runningJobs,
    events,
    measurements,
  });
  const opened = consumer;
  started.defer(() => opened.close());
  // It may have died since.
  if (engines.current === null) consumer.hold("engine_down");
  await listenForCancels(subscriber, runningJobs);
  await answerTokenCounts(subscriber, redis, identity.id, preparation);
  await heartbeat.start();
  await consumer.start();

  const parts = started.move();
  const running = { consumer, heartbeat };
  return {
    drain: async (graceMs) => {
      events.draining(runningJobs.count);
      enter("draining");
      await running.consumer.drain(graceMs);
      await running.heartbeat.stop();
      events.drained();
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function describeModel(
  entry: CatalogueEntry,
  { engine, preparer }: ModelOptions,
  facts: LoadedModelFacts,
  maxTokenBytes: number,
): ModelDescription {
  const { architecture, parameters, experts, fileBytes, embeddingDimensions } = facts;
  const { kind, contextTokens } = engine;
  const { thinking } = preparer;
  return {
    model: entry.alias,
    aliases: entry.aliases,
    kind,
    embeddingDimensions,
    architecture,
    parameters,
    experts,
    contextTokens,
    thinking,
    fileBytes,
    maxTokenBytes,
  };
}
