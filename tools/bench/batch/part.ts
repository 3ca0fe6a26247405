import type { BatchOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";

/** One of the questions that `npm run bench -- batch` answers, each of which stands alone. */
export type Part = (options: BatchOptions, context: ScenarioContext) => Promise<ScenarioOutcome>;

/** So many percent of what a whole run measures, and never fewer than `least`: less tells nothing. */
export function scaled(count: number, { percent }: Pick<BatchOptions, "percent">, least = 1): number {
  return Math.max(least, Math.round((count * percent) / 100));
}
