import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { readBatch } from "@quern/shared/redis/batch-store";
import type { Redis } from "ioredis";
import type { BatchOptions } from "../arguments.ts";
import { findModel } from "../models.ts";
import { arrive } from "../preemption-load.ts";
import { type WaitMetrics, waitMetrics } from "../preemption-metrics.ts";
import type { ScenarioContext, ScenarioOutcome } from "../scenario.ts";
import { median } from "../statistics.ts";
import { type Column, figure, percent, textTable } from "../text-table.ts";
import { batchWhen, cancelBatch } from "./batch-client.ts";
import { type BatchCluster, startBatchCluster } from "./batch-cluster.ts";
import { plainLines } from "./lines.ts";
import { scaled } from "./part.ts";

/** One round: the same arrivals alone and beside a batch, the same time of the batch alone and beside them. */
interface RoundFigures {
  idle: WaitMetrics;
  loaded: WaitMetrics;
  batchAloneTokensPerSecond: number;
  batchLoadedTokensPerSecond: number;
}

const ARRIVALS = { requests: 200, meanGapMs: 100, tokens: 16 };
/** Short, so that little is under way uncounted when a phase ends; as many as no phase comes to the end of. */
const LINES = { count: 20_000, characters: 24, tokens: 128 };

/** Interactive jobs arrive while a batch fills every slot; before that, each alone. */
export async function measureMixed(
  options: BatchOptions,
  { stop, tell }: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, threads, repeat } = options;
  const requests = scaled(ARRIVALS.requests, options, 20);
  tell("starting");
  await using cluster = await startBatchCluster(
    { modelPath: await findModel("tiny", tell), slots, contextTokens: 512, threads, reservedSlots: null },
    stop,
  );
  const { target, model } = cluster;
  const figures: RoundFigures[] = [];
  // Round 0 warms up.
  for (let round = 0; round <= repeat; round++) {
    const name = round === 0 ? "warm-up" : `round ${round} of ${repeat}`;
    const arrivals = { ...ARRIVALS, requests, seed: round };
    const jobs = { url: target.url, model, stop };
    tell(`${name}: interactive jobs alone`);
    const idleIds = await arrive(jobs, arrivals);
    const batchId = await cluster.submit(plainLines(model, { ...LINES, seed: round }));
    await batchWhen(target, batchId, ({ completed }) => completed >= slots);
    tell(`${name}: the batch alone`);
    const phaseMs = requests * ARRIVALS.meanGapMs;
    const batchAloneTokensPerSecond = await speedOf(cluster, batchId, () =>
      sleep(phaseMs, undefined, { signal: stop }),
    );
    tell(`${name}: both`);
    let loadedIds: string[] = [];
    const batchLoadedTokensPerSecond = await speedOf(cluster, batchId, async () => {
      loadedIds = await arrive(jobs, arrivals);
    });
    await cancelBatch(target, batchId);
    const outcome = {
      idle: waitMetrics(cluster.workerLog(), idleIds),
      loaded: waitMetrics(cluster.workerLog(), loadedIds),
      batchAloneTokensPerSecond,
      batchLoadedTokensPerSecond,
    };
    if (round > 0) figures.push(outcome);
  }
  const title = `${requests} interactive jobs every ${ARRIVALS.meanGapMs} ms on average, a batch of lines of ${LINES.tokens} tokens, ${slots} slots, ${repeat} rounds`;
  return { figures, tables: `${title}\n${textTable(COLUMNS, rowsOf(figures))}` };
}

/** Tokens of the lines that ended while `phase` lasted. */
async function speedOf(
  { target }: BatchCluster,
  batchId: string,
  phase: () => Promise<unknown>,
): Promise<number> {
  const before = await running(target.redis, batchId);
  const beganMs = performance.now();
  await phase();
  const after = await running(target.redis, batchId);
  const tokens = after.usage.completionTokens - before.usage.completionTokens;
  return (tokens / (performance.now() - beganMs)) * 1_000;
}

/** @throws when the batch is over: a phase without lines measures nothing. */
async function running(redis: Redis, batchId: string): Promise<BatchRecord> {
  const batch = await readBatch(redis, batchId);
  if (batch?.status === "in_progress") return batch;
  throw new Error(
    `the batch is ${batch?.status ?? "gone"}: it has too few lines for this machine, take a smaller --percent`,
  );
}

interface Row extends WaitMetrics {
  name: string;
  batchTokensPerSecond: number | null;
  batchLost: number | null;
}

function rowsOf(rounds: readonly RoundFigures[]): Row[] {
  const waits = (value: (round: RoundFigures, key: keyof WaitMetrics) => number | null): WaitMetrics => {
    const medianOf = (key: keyof WaitMetrics) => median(rounds.flatMap((round) => value(round, key) ?? []));
    return {
      waitP50Ms: medianOf("waitP50Ms"),
      waitP99Ms: medianOf("waitP99Ms"),
      ttftP50Ms: medianOf("ttftP50Ms"),
      ttftP99Ms: medianOf("ttftP99Ms"),
    };
  };
  const alone = median(rounds.map((round) => round.batchAloneTokensPerSecond));
  const beside = median(rounds.map((round) => round.batchLoadedTokensPerSecond));
  const lost = median(
    rounds.map((round) => 1 - round.batchLoadedTokensPerSecond / round.batchAloneTokensPerSecond),
  );
  const none = { batchTokensPerSecond: null, batchLost: null };
  return [
    { name: "interactive alone", ...waits(({ idle }, key) => idle[key]), ...none },
    { name: "batch alone", ...waits(() => null), ...none, batchTokensPerSecond: alone },
    {
      name: "both",
      ...waits(({ loaded }, key) => loaded[key]),
      batchTokensPerSecond: beside,
      batchLost: lost,
    },
    { name: "both − alone", ...waits(({ idle, loaded }, key) => more(loaded[key], idle[key])), ...none },
  ];
}

function more(value: number | null, than: number | null): number | null {
  return value === null || than === null ? null : value - than;
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
