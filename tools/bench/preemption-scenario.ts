import { setTimeout as sleep } from "node:timers/promises";
import { startCluster } from "@quern/testing/cluster";
import type { PreemptionOptions } from "./arguments.ts";
import { arrive, type JobTarget, saturate } from "./preemption-load.ts";
import { type WaitMetrics, waitMetrics } from "./preemption-metrics.ts";
import type { ScenarioContext, ScenarioOutcome } from "./scenario.ts";
import { servedModel } from "./served-model.ts";
import { median } from "./statistics.ts";
import { type Column, figure, percent, textTable } from "./text-table.ts";

/** One round: the same arrivals twice, and the same time of batch work twice. */
interface RoundFigures {
  idle: WaitMetrics;
  loaded: WaitMetrics;
  batchAloneTokensPerSecond: number;
  batchLoadedTokensPerSecond: number;
}

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

  const measure = async (round: number): Promise<RoundFigures> => {
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
  const figures: RoundFigures[] = [];
  for (let round = 0; round <= repeat; round++) {
    const outcome = await measure(round);
    if (round > 0) figures.push(outcome);
  }
  const title = `${slots} slots, ${requests} interactive jobs every ${gapMs} ms on average, ${load.lanes} batch jobs at any time`;
  return { figures, tables: `${title}\n${textTable(COLUMNS, rowsOf(figures))}` };
}

interface Row extends WaitMetrics {
  name: string;
  batchTokensPerSecond: number | null;
  batchLost: number | null;
}

function rowsOf(rounds: readonly RoundFigures[]): Row[] {
  const medians = (phase: "idle" | "loaded"): WaitMetrics => {
    const of = (key: keyof WaitMetrics) => median(rounds.flatMap((round) => round[phase][key] ?? []));
    return {
      waitP50Ms: of("waitP50Ms"),
      waitP99Ms: of("waitP99Ms"),
      ttftP50Ms: of("ttftP50Ms"),
      ttftP99Ms: of("ttftP99Ms"),
    };
  };
  const none: WaitMetrics = { waitP50Ms: null, waitP99Ms: null, ttftP50Ms: null, ttftP99Ms: null };
  const alone = median(rounds.map((round) => round.batchAloneTokensPerSecond));
  const beside = median(rounds.map((round) => round.batchLoadedTokensPerSecond));
  const lost = median(
    rounds.map((round) => 1 - round.batchLoadedTokensPerSecond / round.batchAloneTokensPerSecond),
  );
  return [
    { name: "interactive alone", ...medians("idle"), batchTokensPerSecond: null, batchLost: null },
    { name: "batch alone", ...none, batchTokensPerSecond: alone, batchLost: null },
    { name: "both", ...medians("loaded"), batchTokensPerSecond: beside, batchLost: lost },
  ];
}

const COLUMNS: Column<Row>[] = [
  { title: "load", cell: ({ name }) => name },
  { title: "wait p50 ms", cell: ({ waitP50Ms }) => figure(waitP50Ms) },
  { title: "p99 ms", cell: ({ waitP99Ms }) => figure(waitP99Ms) },
  { title: "TTFT p50 ms", cell: ({ ttftP50Ms }) => figure(ttftP50Ms) },
  { title: "p99 ms", cell: ({ ttftP99Ms }) => figure(ttftP99Ms) },
  { title: "batch tok/s", cell: ({ batchTokensPerSecond }) => figure(batchTokensPerSecond, 0) },
  { title: "lost", cell: ({ batchLost }) => percent(batchLost) },
];
