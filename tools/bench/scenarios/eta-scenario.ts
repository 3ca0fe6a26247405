import type { JobRecord } from "@quern/shared/contract/job";
import { connectRedis } from "@quern/shared/redis/connect";
import { readJob } from "@quern/shared/redis/job-store";
import { startCluster } from "@quern/testing/cluster";
import { RandomSource } from "@quern/testing/gguf/random-source";
import { chatBodyOf, endedJob, type Probe, readProbes, submitJob } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import { servedModel } from "../cluster/served-model.ts";
import type { EtaOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { type Column, figure, percent, textTable } from "../figures/text-table.ts";
import { type EtaMetrics, type EtaSample, etaMetrics } from "./eta-metrics.ts";

/** What nobody estimates well: the first jobs, of which the rates are made. */
const WARM_UP_JOBS = 200;

/** Bursts of real questions through gateway, Redis and a worker; each job's times beside what its submitter was told. */
export async function runEtaScenario(
  options: EtaOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, jobs, threads, repeat } = options;
  context.tell("starting gateway, Redis and worker");
  await using cluster = await startCluster({
    workers: [{ model: context.modelPath, slots, env: { QUERN_THREADS: String(threads) } }],
    env: { QUERN_LOG_LEVEL: "error" },
  });
  const redis = connectRedis(cluster.redis.url, "work", () => {});
  await using stack = new AsyncDisposableStack();
  stack.defer(() => redis.disconnect());
  const model = await servedModel(cluster.url);
  context.tell("warm-up");
  await runBursts({ url: cluster.url, redis, model, slots, jobs: WARM_UP_JOBS, seed: 1 }, context.stop);
  const rounds: EtaMetrics[] = [];
  for (let round = 1; round <= repeat; round++) {
    context.tell(`round ${round} of ${repeat}`);
    const seed = 1_000 * round;
    const records = await runBursts({ url: cluster.url, redis, model, slots, jobs, seed }, context.stop);
    rounds.push(etaMetrics(records.flatMap(sampleOf)));
  }
  const title = `${jobs} jobs in bursts on ${slots} slots, ${model}`;
  const rows = rounds.map((metrics, at) => ({ name: `round ${at + 1}`, metrics }));
  return { figures: { model, rounds }, tables: `${title}\n${textTable(COLUMNS, rows)}` };
}

interface Load {
  url: string;
  redis: Redis;
  model: string;
  slots: number;
  jobs: number;
  seed: number;
}

/**
 * As the queue runs low the next burst comes: of one job to four for each slot, when one to six for each slot are under
 * way. So queues are long and short, and slots busy and free.
 */
async function runBursts(
  { url, redis, model, slots, jobs, seed }: Load,
  stop: AbortSignal,
): Promise<JobRecord[]> {
  const random = new RandomSource(seed);
  const below = (limit: number) => (random.uint32() >>> 8) % limit;
  const probes = readProbes();
  const ids: string[] = [];
  const underWay = new Set<Promise<void>>();
  while (ids.length < jobs) {
    stop.throwIfAborted();
    const bodies = Array.from({ length: Math.min(1 + below(4 * slots), jobs - ids.length) }, () => {
      const probe = probes[below(probes.length)] as Probe;
      return { ...chatBodyOf(probe, model), max_tokens: 16 + below(240) };
    });
    for (const { id } of await Promise.all(bodies.map((body) => submitJob(url, body)))) {
      ids.push(id);
      const ended = endedJob(url, id).then(() => {
        underWay.delete(ended);
      });
      underWay.add(ended);
    }
    const low = slots + below(5 * slots);
    while (underWay.size > low) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  const records = await Promise.all(ids.map((id) => readJob(redis, id)));
  return records.filter((record) => record !== null);
}

/** Nothing of a job that nobody could estimate, or that did not end well. */
function sampleOf({ estimate, claimedAtMs, endedAtMs }: JobRecord): EtaSample[] {
  if (estimate === null || claimedAtMs === null || endedAtMs === null) return [];
  return [{ estimate, startedAtMs: claimedAtMs, endedAtMs }];
}

const COLUMNS: Column<{ name: string; metrics: EtaMetrics }>[] = [
  { title: "round", cell: ({ name }) => name },
  { title: "jobs", cell: ({ metrics }) => String(metrics.jobs) },
  { title: "wait p50 ms", cell: ({ metrics }) => figure(metrics.waitP50Ms, 0) },
  { title: "wait p90 ms", cell: ({ metrics }) => figure(metrics.waitP90Ms, 0) },
  { title: "began < p50", cell: ({ metrics }) => percent(metrics.start.beforeP50) },
  { title: "began < p90", cell: ({ metrics }) => percent(metrics.start.beforeP90) },
  { title: "ended < p50", cell: ({ metrics }) => percent(metrics.end.beforeP50) },
  { title: "ended < p90", cell: ({ metrics }) => percent(metrics.end.beforeP90) },
  { title: "start error", cell: ({ metrics }) => percent(metrics.start.medianError) },
  { title: "end error", cell: ({ metrics }) => percent(metrics.end.medianError) },
  { title: "p90 ÷ p50", cell: ({ metrics }) => figure(metrics.start.width, 2) },
];
