import type { PrefillGapOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import type { ContenderName } from "../engine/contender.ts";
import { contextTokensFor, randomTokens } from "../engine/prompts.ts";
import { startContenders } from "../engine/start-contenders.ts";
import type { Workload } from "../engine/workload.ts";
import { median } from "../figures/statistics.ts";
import { type Column, figure, textTable } from "../figures/text-table.ts";
import { type PrefillGapMetrics, prefillGapMetrics } from "./prefill-gap-metrics.ts";
import { takeTurns } from "./take-turns.ts";

interface ContenderFigures {
  name: ContenderName;
  llamaCpp: string;
  rounds: PrefillGapMetrics[];
}

const STREAM_PROMPT_TOKENS = 16;
/** Of each stream before the long prompt arrives: so many steps say what is usual. */
const TOKENS_BEFORE = 16;
/** Of the long prompt's own answer. */
const LATE_TOKENS = 4;
/** A stream must outlast the prompt: a token for each chunk of as few tokens as any contender takes, and some more. */
const SMALLEST_CHUNK_TOKENS = 32;
const TOKENS_AFTER = 32;

/** A long prompt arrives while streams run. */
export async function runPrefillGapScenario(
  options: PrefillGapOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const { streams, promptTokens, threads, repeat, llamaServer } = options;
  const streamTokens = TOKENS_BEFORE + Math.ceil(promptTokens / SMALLEST_CHUNK_TOKENS) + TOKENS_AFTER;
  const contextTokens = contextTokensFor({ promptTokens, maxTokens: Math.max(streamTokens, LATE_TOKENS) });
  context.tell("loading");
  await using started = await startContenders(
    { modelPath: context.modelPath, slots: streams + 1, threads, contextTokens },
    { baseline: "none", against: null, llamaServer, promptCache: "off", deliveries: ["stream"] },
    context.stop,
  );
  const { contenders } = started;
  const workload = (round: number): Workload => {
    const seed = round * (streams + 1);
    return {
      requests: Array.from({ length: streams }, (_, stream) => ({
        promptTokens: randomTokens(STREAM_PROMPT_TOKENS, seed + stream),
        maxTokens: round === 0 ? TOKENS_BEFORE : streamTokens,
      })),
      inFlight: streams,
      late:
        round === 0
          ? null
          : {
              request: { promptTokens: randomTokens(promptTokens, seed + streams), maxTokens: LATE_TOKENS },
              afterTokens: TOKENS_BEFORE,
            },
    };
  };
  const turns = contenders.map(({ name, run }) => ({ name, run: (round: number) => run(workload(round)) }));
  const traces = await takeTurns(turns, repeat, context);
  const figures = contenders.map(
    ({ name, version }, turn): ContenderFigures => ({
      name,
      llamaCpp: version,
      rounds: (traces[turn] ?? []).map(prefillGapMetrics),
    }),
  );
  const title = `${streams} streams, a prompt of ${promptTokens} tokens arrives`;
  return { figures, tables: `${title}\n${textTable(COLUMNS, figures)}` };
}

function medianOf(key: keyof PrefillGapMetrics): (figures: ContenderFigures) => string {
  return ({ rounds }) => figure(median(rounds.flatMap((round) => round[key] ?? [])));
}

const COLUMNS: Column<ContenderFigures>[] = [
  { title: "contender", cell: ({ name }) => name },
  { title: "step ms", cell: medianOf("stepMs") },
  { title: "step during prefill ms", cell: medianOf("stepDuringPrefillMs") },
  { title: "longest gap ms", cell: medianOf("longestGapMs") },
  { title: "chunk ms", cell: medianOf("chunkMs") },
  { title: "TTFT of the prompt ms", cell: medianOf("lateTtftMs") },
];
