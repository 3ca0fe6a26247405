import { setTimeout as sleep } from "node:timers/promises";
import { startCluster } from "@quern/testing/cluster";
import { CONTENTION_COLUMNS, type ContentionRound, contentionRows } from "../cluster/contention-table.ts";
import { arrive, type JobTarget, saturate } from "../cluster/job-load.ts";
import { servedModel } from "../cluster/served-model.ts";
import { waitMetrics } from "../cluster/wait-metrics.ts";
import type { PreemptionOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { textTable } from "../figures/text-table.ts";

const INTERACTIVE_TOKENS = 16;
const BATCH_TOKENS = 512;
/** Batch jobs for each slot: the queue never runs dry. */
const LANES_PER_SLOT = 3;

/** Interactive jobs arrive while batch jobs fill every slot: gateway, Redis, one worker, all as in production. */
export async function runPreemptionScenario(
  options: PreemptionOptions,
  { modelPath, stop, tell }: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, threads, repeat, requests, gapMs } = options;
  tell("starting the cluster");
  await using cluster = await startCluster({
    workers: [
      { model: modelPath, slots, env: { QUERN_THREADS: String(threads), QUERN_CONTEXT_TOKENS: "1024" } },
    ],
  });
  const { url } = cluster;
  const target: JobTarget = { url, model: await servedModel(url), stop };
  const load = { lanes: slots * LANES_PER_SLOT, tokens: BATCH_TOKENS };
  const phaseMs = requests * gapMs;
  const logOf = () => cluster.workers[0]?.output() ?? "";

  const measure = async (round: number): Promise<ContentionRound> => {
    const arrivals = { requests, meanGapMs: gapMs, tokens: INTERACTIVE_TOKENS, seed: round };
    const batch = async (whole: () => Promise<unknown>) => {
      const finished = new AbortController();
      const beganMs = performance.now();
      const phase = whole().then(() => {
        finished.abort();
        return (performance.now() - beganMs) / 1_000;
      });
      const [tokens, seconds] = await Promise.all([saturate(target, load, finished.signal), phase]);
      return tokens / seconds;
    };
    tell(`round ${round} of ${repeat}: interactive jobs alone`);
    const idleIds = await arrive(target, arrivals);
    tell(`round ${round} of ${repeat}: batch jobs alone`);
    const batchAloneTokensPerSecond = await batch(() => sleep(phaseMs, undefined, { signal: stop }));
    tell(`round ${round} of ${repeat}: both`);
    let loadedIds: string[] = [];
    const batchLoadedTokensPerSecond = await batch(async () => {
      loadedIds = await arrive(target, arrivals);
    });
    return {
      idle: waitMetrics(logOf(), idleIds),
      loaded: waitMetrics(logOf(), loadedIds),
      batchAloneTokensPerSecond,
      batchLoadedTokensPerSecond,
    };
  };

  // Round 0 warms up.
  const figures: ContentionRound[] = [];
  for (let round = 0; round <= repeat; round++) {
    const outcome = await measure(round);
    if (round > 0) figures.push(outcome);
  }
  const title = `${slots} slots, ${requests} interactive jobs every ${gapMs} ms on average, ${load.lanes} batch jobs at any time`;
  return { figures, tables: `${title}\n${textTable(CONTENTION_COLUMNS, contentionRows(figures))}` };
}
