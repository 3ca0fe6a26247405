import { median } from "../figures/statistics.ts";
import { type Column, figure, percent } from "../figures/text-table.ts";
import type { WaitMetrics } from "./wait-metrics.ts";

/** One round: the same arrivals alone and beside batch work, the same time of that alone and beside them. */
export interface ContentionRound {
  idle: WaitMetrics;
  loaded: WaitMetrics;
  batchAloneTokensPerSecond: number;
  batchLoadedTokensPerSecond: number;
}

export interface ContentionRow extends WaitMetrics {
  name: string;
  batchTokensPerSecond: number | null;
  batchLost: number | null;
}

export const NO_BATCH = { batchTokensPerSecond: null, batchLost: null };

/** Each alone, then both; medians over the rounds. */
export function contentionRows(rounds: readonly ContentionRound[]): ContentionRow[] {
  const alone = median(rounds.map((round) => round.batchAloneTokensPerSecond));
  const beside = median(rounds.map((round) => round.batchLoadedTokensPerSecond));
  const lost = median(
    rounds.map((round) => 1 - round.batchLoadedTokensPerSecond / round.batchAloneTokensPerSecond),
  );
  return [
    { name: "interactive alone", ...medianWaits(rounds, ({ idle }, key) => idle[key]), ...NO_BATCH },
    { name: "batch alone", ...medianWaits(rounds, () => null), ...NO_BATCH, batchTokensPerSecond: alone },
    {
      name: "both",
      ...medianWaits(rounds, ({ loaded }, key) => loaded[key]),
      batchTokensPerSecond: beside,
      batchLost: lost,
    },
  ];
}

/** Rounds without a value are left out. */
export function medianWaits(
  rounds: readonly ContentionRound[],
  value: (round: ContentionRound, key: keyof WaitMetrics) => number | null,
): WaitMetrics {
  const medianOf = (key: keyof WaitMetrics) => median(rounds.flatMap((round) => value(round, key) ?? []));
  return {
    waitP50Ms: medianOf("waitP50Ms"),
    waitP99Ms: medianOf("waitP99Ms"),
    ttftP50Ms: medianOf("ttftP50Ms"),
    ttftP99Ms: medianOf("ttftP99Ms"),
  };
}

export const CONTENTION_COLUMNS: Column<ContentionRow>[] = [
  { title: "load", cell: ({ name }) => name },
  { title: "wait p50 ms", cell: ({ waitP50Ms }) => figure(waitP50Ms) },
  { title: "p99 ms", cell: ({ waitP99Ms }) => figure(waitP99Ms) },
  { title: "TTFT p50 ms", cell: ({ ttftP50Ms }) => figure(ttftP50Ms) },
  { title: "p99 ms", cell: ({ ttftP99Ms }) => figure(ttftP99Ms) },
  { title: "batch tok/s", cell: ({ batchTokensPerSecond }) => figure(batchTokensPerSecond, 0) },
  { title: "lost", cell: ({ batchLost }) => percent(batchLost) },
];
