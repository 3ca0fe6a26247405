import { DEMO_MODEL } from "../command/models.ts";
import type { BatchOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { median, medianRatio } from "../figures/statistics.ts";
import { type Column, figure, percent, textTable } from "../figures/text-table.ts";
import { startBareEngine } from "./bare-engine.ts";
import { completedBatch, wholeMs } from "./batch-client.ts";
import { type BatchCluster, startBatchCluster } from "./batch-cluster.ts";
import { type SpanMetrics, spanMetrics, spansOf } from "./line-spans.ts";
import { type InputLine, plainLines, reviewLines } from "./lines.ts";
import { scaled } from "./part.ts";

/** What is done both ways. */
interface Work {
  name: string;
  modelPath: string;
  contextTokens: number;
  lines: (model: string, round: number) => InputLine[];
}

interface Round {
  bare: SpanMetrics;
  batch: SpanMetrics & { wholeMs: number };
}

interface WorkFigures {
  work: string;
  lines: number;
  rounds: Round[];
  /** Of the batch by the bare engine, within a round; the median. */
  ratio: { lines: number | null; whole: number | null };
}

/** A name that both sides parse alike; which model runs is settled by what is loaded. */
const ANY_MODEL = "bench";

/**
 * The same lines through the worker's engine alone, and as a batch through gateway, scheduler, worker and Redis. Who begins
 * changes from round to round.
 */
export async function measureOverhead(
  options: BatchOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const figures: WorkFigures[] = [];
  for (const work of worksOf(options, context.modelPath))
    figures.push(await measureWork(work, options, context));
  const title = `the same lines through the engine alone and as a batch, ${options.slots} slots, ${options.repeat} rounds`;
  return { figures, tables: `${title}\n${textTable(COLUMNS, figures)}` };
}

function worksOf(options: BatchOptions, modelPath: string): Work[] {
  const { slots } = options;
  const plain = (name: string, count: number, tokens: number): Work => ({
    name,
    modelPath,
    contextTokens: 512,
    lines: (model, seed) =>
      plainLines(model, { count: scaled(count, options, 4 * slots), characters: 24, tokens, seed }),
  });
  return [
    {
      name: "reviews, a word each",
      modelPath: DEMO_MODEL,
      contextTokens: 512,
      lines: (model) => reviewLines(model, scaled(4_000, options, 4 * slots)),
    },
    plain("8 to 24 tokens each", 256, 16),
    plain("48 to 144 tokens each", 64, 96),
  ];
}

async function measureWork(
  work: Work,
  { slots, threads, repeat }: BatchOptions,
  { stop, tell }: ScenarioContext,
): Promise<WorkFigures> {
  tell(`${work.name}: loading`);
  const { modelPath, contextTokens } = work;
  await using bare = await startBareEngine({ modelPath, slots, contextTokens, threads }, stop);
  await using cluster = await startBatchCluster(
    { modelPath, slots, contextTokens, threads, reservedSlots: 0 },
    stop,
  );
  const turns = {
    bare: async (round: number) => spanMetrics(await bare.run(work.lines(ANY_MODEL, round)), slots),
    batch: (round: number) => runBatch(cluster, work.lines(cluster.model, round), slots),
  };
  const rounds: Round[] = [];
  // Round 0 warms up.
  for (let round = 0; round <= repeat; round++) {
    const outcome: Partial<Round> = {};
    const order = round % 2 === 0 ? (["batch", "bare"] as const) : (["bare", "batch"] as const);
    for (const turn of order) {
      stop.throwIfAborted();
      tell(`${work.name}: ${turn}, ${round === 0 ? "warm-up" : `round ${round} of ${repeat}`}`);
      Object.assign(outcome, { [turn]: await turns[turn](round) });
    }
    if (round > 0) rounds.push(outcome as Round);
  }
  return {
    work: work.name,
    lines: work.lines(ANY_MODEL, 0).length,
    rounds,
    ratio: ratioOf(rounds),
  };
}

async function runBatch(cluster: BatchCluster, lines: InputLine[], slots: number): Promise<Round["batch"]> {
  const id = await cluster.submit(lines);
  const batch = await completedBatch(cluster.target, id);
  const spans = await spansOf(cluster.workerLog, id, lines.length);
  return { ...spanMetrics(spans, slots), wholeMs: wholeMs(batch) };
}

function ratioOf(rounds: readonly Round[]): WorkFigures["ratio"] {
  return {
    lines: medianRatio(
      rounds.map(({ batch }) => batch.tokensPerSecond),
      rounds.map(({ bare }) => bare.tokensPerSecond),
    ),
    whole: medianRatio(
      rounds.map(({ batch }) => (batch.tokensPerSecond * batch.tookMs) / batch.wholeMs),
      rounds.map(({ bare }) => bare.tokensPerSecond),
    ),
  };
}

const medianOf = (rounds: readonly Round[], value: (round: Round) => number) => median(rounds.map(value));

const COLUMNS: Column<WorkFigures>[] = [
  { title: "work", cell: ({ work }) => work },
  { title: "lines", cell: ({ lines }) => String(lines) },
  {
    title: "engine tok/s",
    cell: ({ rounds }) => figure(medianOf(rounds, ({ bare }) => bare.tokensPerSecond)),
  },
  {
    title: "batch tok/s",
    cell: ({ rounds }) => figure(medianOf(rounds, ({ batch }) => batch.tokensPerSecond)),
  },
  { title: "÷ engine", cell: ({ ratio }) => figure(ratio.lines, 3) },
  { title: "whole ÷ engine", cell: ({ ratio }) => figure(ratio.whole, 3) },
  {
    title: "slots busy, engine",
    cell: ({ rounds }) => percent(medianOf(rounds, ({ bare }) => bare.busyShare)),
  },
  {
    title: "batch",
    cell: ({ rounds }) => percent(medianOf(rounds, ({ batch }) => batch.busyShare)),
  },
];
