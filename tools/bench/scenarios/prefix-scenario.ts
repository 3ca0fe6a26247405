import type { PrefixOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import type { ContenderName } from "../engine/contender.ts";
import { contextTokensFor, randomTokens, shuffled } from "../engine/prompts.ts";
import { startContenders } from "../engine/start-contenders.ts";
import type { Workload } from "../engine/workload.ts";
import { median, medianRatio } from "../figures/statistics.ts";
import { type Column, figure, percent, textTable } from "../figures/text-table.ts";
import { type PrefixMetrics, prefixMetrics } from "./prefix-metrics.ts";
import { takeTurns } from "./take-turns.ts";

interface ContenderFigures {
  name: ContenderName;
  llamaCpp: string;
  /** Jobs that share one of a few system prompts. */
  shared: PrefixMetrics[];
  /** The same jobs, each with a system prompt of its own: nothing can be reused. */
  distinct: PrefixMetrics[];
}

const SYSTEM_PROMPTS = 5;
const SYSTEM_PROMPT_TOKENS = 256;
/** What a job adds to its system prompt, and what it is answered. */
const OWN_PROMPT_TOKENS = 16;
const ANSWER_TOKENS = 16;
const WARM_UP_JOBS = 2;

/** Jobs that share system prompts, beside jobs of the same size that share nothing. */
export async function runPrefixScenario(
  options: PrefixOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { slots, jobs, threads, repeat, llamaServer } = options;
  const promptTokens = SYSTEM_PROMPT_TOKENS + OWN_PROMPT_TOKENS;
  context.tell("loading");
  await using started = await startContenders(
    {
      modelPath: context.modelPath,
      slots,
      threads,
      contextTokens: contextTokensFor({ promptTokens, maxTokens: ANSWER_TOKENS }),
    },
    { baseline: "none", against: null, llamaServer, promptCache: "on", deliveries: ["whole"] },
    context.stop,
  );
  const { contenders } = started;
  const turns = contenders.flatMap(({ name, run }) =>
    (["distinct", "shared"] as const).map((systemPrompts) => ({
      name: `${name}, ${systemPrompts} system prompts`,
      run: (round: number) =>
        run(jobsOf(systemPrompts, { round, jobs: round === 0 ? WARM_UP_JOBS : jobs, slots })),
    })),
  );
  const traces = await takeTurns(turns, repeat, context);
  const metricsOf = (turn: number) =>
    (traces[turn] ?? []).map((trace) => prefixMetrics(trace, SYSTEM_PROMPT_TOKENS));
  const figures = contenders.map(
    ({ name, version }, at): ContenderFigures => ({
      name,
      llamaCpp: version,
      distinct: metricsOf(2 * at),
      shared: metricsOf(2 * at + 1),
    }),
  );
  const title = `${jobs} jobs, ${SYSTEM_PROMPTS} system prompts of ${SYSTEM_PROMPT_TOKENS} tokens, ${slots} slots`;
  return { figures, tables: `${title}\n${textTable(COLUMNS, figures)}` };
}

/** System prompts differ from round to round: each round has to compute its own for the first time. */
function jobsOf(
  systemPrompts: "shared" | "distinct",
  { round, jobs, slots }: { round: number; jobs: number; slots: number },
): Workload {
  const different = systemPrompts === "shared" ? SYSTEM_PROMPTS : jobs;
  const seed = (systemPrompts === "shared" ? 1 : 2) * 1_000_000 + round * 10_000;
  const order = shuffled(
    Array.from({ length: jobs }, (_, job) => job % different),
    seed,
  );
  return {
    requests: order.map((systemPrompt, job) => ({
      promptTokens: [
        ...randomTokens(SYSTEM_PROMPT_TOKENS, seed + systemPrompt),
        ...randomTokens(OWN_PROMPT_TOKENS, seed + 5_000 + job),
      ],
      maxTokens: ANSWER_TOKENS,
    })),
    inFlight: slots,
    late: null,
  };
}

function speeds(rounds: readonly PrefixMetrics[]): number[] {
  return rounds.map(({ jobsPerSecond }) => jobsPerSecond);
}

const COLUMNS: Column<ContenderFigures>[] = [
  { title: "contender", cell: ({ name }) => name },
  {
    title: "shared tokens from cache",
    cell: ({ shared }) => percent(median(shared.map(({ cachedShare }) => cachedShare))),
  },
  { title: "jobs/s", cell: ({ shared }) => figure(median(speeds(shared)), 2) },
  { title: "jobs/s, nothing shared", cell: ({ distinct }) => figure(median(speeds(distinct)), 2) },
  { title: "gain", cell: ({ shared, distinct }) => figure(medianRatio(speeds(shared), speeds(distinct)), 2) },
];
