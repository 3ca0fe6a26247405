import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import {
  FILE_SWEEPER_LOCK_KEY,
  INDEX_TRIMMER_LOCK_KEY,
  SWEEPER_LOCK_KEY,
} from "@quern/shared/contract/names";
import { openFileStore } from "@quern/shared/files/open-file-store";
import { aborted } from "@quern/shared/process/aborted";
import { createLogger } from "@quern/shared/process/logger";
import { tellReady } from "@quern/shared/process/supervised";
import { startTelemetry } from "@quern/shared/process/telemetry";
import { connectRedis } from "@quern/shared/redis/connect";
import { TimedLock } from "@quern/shared/redis/timed-lock";
import { BatchDuties } from "./batches/batch-duties.ts";
import type { SchedulerConfig } from "./config.ts";
import { schedulerEvents } from "./events.ts";
import { FILE_SWEEPER_LOCK_TTL_MS, FileSweeper } from "./files/file-sweeper.ts";
import { INDEX_TRIMMER_LOCK_TTL_MS, IndexTrimmer } from "./indexes/index-trimmer.ts";
import { DeliveryConsumer } from "./queue/delivery-consumer.ts";
import { DeliveryQueue } from "./queue/delivery-queue.ts";
import { JobReferences } from "./queue/job-references.ts";
import { Presence } from "./registration/presence.ts";
import { AskedJobs } from "./sweep/asked-jobs.ts";
import { Sweeper } from "./sweep/sweeper.ts";
import { type Resolve, resolveName } from "./webhooks/receiver-addresses.ts";

/** How long a scheduler that vanished keeps the others from sweeping. */
const SWEEPER_LOCK_TTL_MS = 5_000;
/** How long the end may wait for Redis after the grace for deliveries. */
const REDIS_PATIENCE_MS = 2_000;

/**
 * A scheduler from its first connection to its last: deliver webhooks, see batches through, sweep jobs and files and trim lists if no
 * other scheduler does, until `stop`; drain.
 * Resolves when all is closed. `resolve` stands for the machine's resolver in tests.
 */
export async function runScheduler(
  config: SchedulerConfig,
  stop: AbortSignal,
  resolve: Resolve = resolveName,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const events = schedulerEvents(createLogger({ service: "scheduler", ...config.log }));
  stack.use(await startTelemetry({ enabled: config.telemetry, serviceName: "quern-scheduler" }));

  const redis = connectRedis(config.redisUrl, "work", events.redisError);
  stack.defer(() => redis.disconnect());
  const subscriber = connectRedis(config.redisUrl, "subscribe", events.redisError);
  stack.defer(() => subscriber.disconnect());

  const { retentionSeconds, webhooks, drainGraceMs } = config;
  const references = new JobReferences(redis, events.redisError);
  stack.defer(() => references.close());
  const deliveries = new DeliveryQueue(redis, webhooks.retrySeconds, events.redisError);
  stack.defer(() => deliveries.close());
  const asked = new AskedJobs(subscriber);
  const lock = new TimedLock(redis, SWEEPER_LOCK_KEY, SWEEPER_LOCK_TTL_MS);
  const sweeper = new Sweeper({ redis, references, deliveries, retentionSeconds, events }, lock, asked);
  const files = await openFileStore(config.files);
  stack.defer(() => files.close());
  const fileLock = new TimedLock(redis, FILE_SWEEPER_LOCK_KEY, FILE_SWEEPER_LOCK_TTL_MS);
  const fileSweeper = new FileSweeper({ redis, store: files, events }, fileLock);
  const trimmerLock = new TimedLock(redis, INDEX_TRIMMER_LOCK_KEY, INDEX_TRIMMER_LOCK_TTL_MS);
  const trimmer = new IndexTrimmer(redis, trimmerLock, events);
  const consumer = new DeliveryConsumer({ redis, ...webhooks, resolve, events });
  const { tenantWeights, lookaheadLines } = config.feeding;
  const batches = new BatchDuties({
    ...{ redis, subscriber, files, references, deliveries, events, lookaheadLines, ...config.batches },
    weightOf: (tenant) => tenantWeights.get(tenant) ?? 1,
  });
  stack.defer(() => batches.close());
  const presence = new Presence(redis, hostname(), events.redisError);

  const stopped = aborted(stop);
  const started = Promise.all([asked.listen(), presence.start(), consumer.start(), batches.start()]);
  await Promise.race([started, stopped]);
  const swept = Promise.all([sweeper.run(stop), fileSweeper.run(stop), trimmer.run(stop), batches.run(stop)]);
  if (!stop.aborted) {
    events.ready();
    tellReady();
  }

  await stopped;
  events.draining();
  const graceMs = redis.status === "ready" ? drainGraceMs : 0;
  const drained = Promise.all([swept, consumer.drain(graceMs), batches.drain(), presence.stop()]);
  // With Redis away nothing can be handed back: what was begun is found by the next scheduler.
  const patience = new AbortController();
  const lost = sleep(graceMs + REDIS_PATIENCE_MS, "lost" as const, { signal: patience.signal });
  if ((await Promise.race([drained, lost])) === "lost") events.drainLost();
  else events.drained();
  patience.abort();
  lost.catch(() => {});
}
