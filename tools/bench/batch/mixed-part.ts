import { setTimeout as sleep } from "node:timers/promises";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { readBatch } from "@quern/shared/redis/batch-store";
import type { Redis } from "ioredis";
import {
  CONTENTION_COLUMNS,
  type ContentionRound,
  type ContentionRow,
  contentionRows,
  medianWaits,
  NO_BATCH,
} from "../cluster/contention-table.ts";
import { arrive } from "../cluster/job-load.ts";
import { waitMetrics } from "../cluster/wait-metrics.ts";
import { findModel } from "../command/models.ts";
import type { BatchOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { textTable } from "../figures/text-table.ts";
import { batchWhen, cancelBatch } from "./batch-client.ts";
import { type BatchCluster, startBatchCluster } from "./batch-cluster.ts";
import { plainLines } from "./lines.ts";
import { scaled } from "./part.ts";

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
  const figures: ContentionRound[] = [];
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
  return { figures, tables: `${title}\n${textTable(CONTENTION_COLUMNS, rowsOf(figures))}` };
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

function rowsOf(rounds: readonly ContentionRound[]): ContentionRow[] {
  const difference = medianWaits(rounds, ({ idle, loaded }, key) => more(loaded[key], idle[key]));
  return [...contentionRows(rounds), { name: "both − alone", ...difference, ...NO_BATCH }];
}

function more(value: number | null, than: number | null): number | null {
  return value === null || than === null ? null : value - than;
}
