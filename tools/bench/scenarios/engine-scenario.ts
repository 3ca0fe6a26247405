import type { EngineOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import type { ContenderName } from "../engine/contender.ts";
import { contextTokensFor, randomTokens } from "../engine/prompts.ts";
import { startContenders } from "../engine/start-contenders.ts";
import type { Workload } from "../engine/workload.ts";
import { medianRatio } from "../figures/statistics.ts";
import { type Column, figure, percent, textTable } from "../figures/text-table.ts";
import { medianMetrics, type RoundMetrics, roundMetrics } from "./round-metrics.ts";
import { takeTurns } from "./take-turns.ts";

interface ContenderFigures {
  name: ContenderName;
  llamaCpp: string;
  rounds: RoundMetrics[];
  median: RoundMetrics;
  ratioTo: Record<(typeof REFERENCES)[number], Ratios>;
}

/** By a reference in the same round, the median over rounds. null: the reference wasn't measured. */
interface Ratios {
  decode: number | null;
  total: number | null;
  cpu: number | null;
}

interface SlotsFigures {
  slots: number;
  contenders: ContenderFigures[];
}

const REFERENCES = ["quern-against", "llama-server", "llama-server-stream"] as const;

/** Decoding speed: every slot gets its request at once, for each number of slots. */
export async function runEngineScenario(
  options: EngineOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const figures: SlotsFigures[] = [];
  for (const slots of options.slots) figures.push(await measureSlots(slots, options, context));
  return {
    figures,
    tables: figures.map(({ slots, contenders }) => `slots: ${slots}\n${table(contenders)}`).join("\n\n"),
  };
}

async function measureSlots(
  slots: number,
  options: EngineOptions,
  context: ScenarioContext,
): Promise<SlotsFigures> {
  const { threads, tokens, promptTokens, repeat, baseline, against, llamaServer } = options;
  context.tell(`${slots} slots: loading`);
  await using started = await startContenders(
    {
      modelPath: context.modelPath,
      slots,
      threads,
      contextTokens: contextTokensFor({ promptTokens, maxTokens: tokens }),
    },
    { baseline, against, llamaServer, promptCache: "off", deliveries: ["whole", "stream"] },
    context.stop,
  );
  const { contenders } = started;
  const workload = (round: number): Workload => ({
    requests: Array.from({ length: slots }, (_, slot) => ({
      promptTokens: randomTokens(promptTokens, round * slots + slot),
      maxTokens: tokens,
    })),
    inFlight: slots,
    late: null,
  });
  const turns = contenders.map(({ name, run }) => ({
    name: `${slots} slots, ${name}`,
    run: (round: number) => run(workload(round)),
  }));
  const traces = await takeTurns(turns, repeat, context);
  const rounds = traces.map((ofContender) => ofContender.map((trace) => roundMetrics(trace, slots)));
  const roundsOf = (name: ContenderName) =>
    rounds[contenders.findIndex((contender) => contender.name === name)] ?? [];
  return {
    slots,
    contenders: contenders.map(({ name, version }, turn) => ({
      name,
      llamaCpp: version,
      rounds: rounds[turn] ?? [],
      median: medianMetrics(rounds[turn] ?? []),
      ratioTo: Object.fromEntries(
        REFERENCES.map((reference) => [reference, ratios(rounds[turn] ?? [], roundsOf(reference))]),
      ) as ContenderFigures["ratioTo"],
    })),
  };
}

function ratios(rounds: readonly RoundMetrics[], references: readonly RoundMetrics[]): Ratios {
  const ratioOf = (key: "decodeTokensPerSecond" | "totalTokensPerSecond" | "cpuMsPerToken") =>
    medianRatio(
      rounds.map((round) => round[key]),
      references.map((round) => round[key]),
    );
  return {
    decode: ratioOf("decodeTokensPerSecond"),
    total: ratioOf("totalTokensPerSecond"),
    cpu: ratioOf("cpuMsPerToken"),
  };
}

const COLUMNS: Column<ContenderFigures>[] = [
  { title: "contender", cell: ({ name }) => name },
  { title: "decode tok/s", cell: ({ median }) => figure(median.decodeTokensPerSecond) },
  { title: "÷ against", cell: ({ ratioTo }) => figure(ratioTo["quern-against"].decode, 2) },
  { title: "÷ server", cell: ({ ratioTo }) => figure(ratioTo["llama-server"].decode, 2) },
  { title: "÷ stream", cell: ({ ratioTo }) => figure(ratioTo["llama-server-stream"].decode, 2) },
  { title: "total tok/s", cell: ({ median }) => figure(median.totalTokensPerSecond) },
  { title: "÷ against", cell: ({ ratioTo }) => figure(ratioTo["quern-against"].total, 2) },
  { title: "÷ server", cell: ({ ratioTo }) => figure(ratioTo["llama-server"].total, 2) },
  { title: "÷ stream", cell: ({ ratioTo }) => figure(ratioTo["llama-server-stream"].total, 2) },
  { title: "CPU ms/tok", cell: ({ median }) => figure(median.cpuMsPerToken, 2) },
  { title: "÷ against", cell: ({ ratioTo }) => figure(ratioTo["quern-against"].cpu, 2) },
  { title: "step fill", cell: ({ median }) => percent(median.stepFill) },
  { title: "id runs/step", cell: ({ median }) => figure(median.idRunsPerStep, 2) },
  { title: "max gap ms", cell: ({ median }) => figure(median.maxDecodeGapMs) },
  { title: "TTFT p50 ms", cell: ({ median }) => figure(median.ttftP50Ms) },
  { title: "p99 ms", cell: ({ median }) => figure(median.ttftP99Ms) },
];

function table(contenders: readonly ContenderFigures[]): string {
  return textTable(COLUMNS, contenders);
}
