import type { BatchOptions, BatchPart } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { measureFairness } from "./fairness-part.ts";
import { measureMixed } from "./mixed-part.ts";
import { measureOverhead } from "./overhead-part.ts";
import type { Part } from "./part.ts";
import { measurePrefixOrder } from "./prefix-part.ts";
import { measureVolume } from "./volume-part.ts";

const PARTS: Record<BatchPart, Part> = {
  overhead: measureOverhead,
  volume: measureVolume,
  mixed: measureMixed,
  prefix: measurePrefixOrder,
  fairness: measureFairness,
};

/** Batches through the whole house, from the upload to the files: one part after the other, each with a cluster of its own. */
export async function runBatchScenario(
  options: BatchOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const figures: Partial<Record<BatchPart, object>> = {};
  const tables: string[] = [];
  for (const part of options.parts) {
    const tell = (line: string) => context.tell(`${part}: ${line}`);
    const outcome = await PARTS[part](options, { ...context, tell });
    figures[part] = outcome.figures;
    tables.push(`${part}: ${outcome.tables}`);
  }
  return { figures, tables: tables.join("\n\n") };
}
