import type { BatchOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { median, medianRatio } from "../figures/statistics.ts";
import { type Column, figure, percent, textTable } from "../figures/text-table.ts";
import { completedBatch } from "./batch-client.ts";
import { type BatchCluster, startBatchCluster } from "./batch-cluster.ts";
import { spanMetrics, spansOf } from "./line-spans.ts";
import { linesWithSharedPrompts } from "./lines.ts";
import { scaled } from "./part.ts";

interface OrderMetrics {
  /** Of all tokens of the prompts, those that a cache had. */
  cachedShare: number;
  tokensPerSecond: number;
  tookMs: number;
}

interface Round {
  planned: OrderMetrics;
  given: OrderMetrics;
}

const LINES = { count: 200, prompts: 5, promptCharacters: 300, characters: 16, tokens: 16 };
/** The template's own tokens included. */
const CONTEXT_TOKENS = 512;
const ORDERS = ["planned", "given"] as const;
/** What a scheduler is told for each. */
const ENVIRONMENTS: Record<(typeof ORDERS)[number], Record<string, string>> = {
  planned: {},
  given: { QUERN_BATCH_LOOKAHEAD_LINES: "1" },
};

/** Lines that share system prompts, ordered by them and in the random order in which they were handed in. */
export async function measurePrefixOrder(
  options: BatchOptions,
  { modelPath, stop, tell }: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, threads, repeat } = options;
  const count = scaled(LINES.count, options, 4 * LINES.prompts);
  tell("starting a cluster for each order");
  await using stack = new AsyncDisposableStack();
  const start = async (order: keyof Round) =>
    stack.use(
      await startBatchCluster(
        {
          modelPath,
          slots,
          contextTokens: CONTEXT_TOKENS,
          threads,
          reservedSlots: 0,
          env: ENVIRONMENTS[order],
        },
        stop,
      ),
    );
  const clusters = { planned: await start("planned"), given: await start("given") };
  const rounds: Round[] = [];
  // Round 0 warms up, with fewer lines. Each round has system prompts of its own: the first use of each is a miss.
  for (let round = 0; round <= repeat; round++) {
    const lines = { ...LINES, count: round === 0 ? 2 * LINES.prompts : count, seed: round + 1 };
    const outcome: Partial<Round> = {};
    for (const order of round % 2 === 0 ? ORDERS.toReversed() : ORDERS) {
      stop.throwIfAborted();
      tell(`${order}: ${round === 0 ? "warm-up" : `round ${round} of ${repeat}`}`);
      outcome[order] = await runOrder(clusters[order], lines, slots);
    }
    if (round > 0) rounds.push(outcome as Round);
  }
  const rows = ORDERS.map((order) => ({ order, rounds }));
  const gain = medianRatio(
    rounds.map(({ planned }) => planned.tokensPerSecond),
    rounds.map(({ given }) => given.tokensPerSecond),
  );
  const title = `${count} lines with ${LINES.prompts} system prompts of ${LINES.promptCharacters} tokens, ${slots} slots, ${repeat} rounds`;
  return {
    figures: { lines: count, rounds, gain },
    tables: `${title}\n${textTable(COLUMNS, rows)}\ntok/s, planned ÷ as given: ${figure(gain, 2)}`,
  };
}

async function runOrder(
  cluster: BatchCluster,
  lines: Parameters<typeof linesWithSharedPrompts>[1],
  slots: number,
): Promise<OrderMetrics> {
  const id = await cluster.submit(linesWithSharedPrompts(cluster.model, lines));
  const { usage } = await completedBatch(cluster.target, id);
  const { tokensPerSecond, tookMs } = spanMetrics(await spansOf(cluster.workerLog, id, lines.count), slots);
  return { cachedShare: usage.cachedTokens / usage.promptTokens, tokensPerSecond, tookMs };
}

const COLUMNS: Column<{ order: keyof Round; rounds: Round[] }>[] = [
  { title: "order", cell: ({ order }) => (order === "planned" ? "by prefix" : "as given") },
  {
    title: "prompt tokens from cache",
    cell: ({ order, rounds }) => percent(median(rounds.map((round) => round[order].cachedShare))),
  },
  {
    title: "tok/s",
    cell: ({ order, rounds }) => figure(median(rounds.map((round) => round[order].tokensPerSecond))),
  },
  {
    title: "seconds",
    cell: ({ order, rounds }) => figure(median(rounds.map((round) => round[order].tookMs / 1_000))),
  },
];
