import { loadCatalogue } from "@quern/shared/models/catalogue";
import { PURPOSES, type Purpose } from "@quern/shared/models/purposes";
import { type RecommendationWish, recommend } from "@quern/shared/models/recommend";
import { Command, InvalidArgumentError, Option } from "commander";
import { recommendationJson, recommendationText } from "./recommendation-text.ts";

const GIB = 1024 ** 3;

/** `quern models recommend`: which model for a task, on what there is. */
export function recommendCommand(modelsFile: () => string): Command {
  return new Command("recommend")
    .description("choose a model for a task and for the memory there is, with the command that starts it")
    .addOption(new Option("--task <task>", "what it is for").choices(PURPOSES).makeOptionMandatory())
    .option("--vram <GiB>", "memory of the GPU that one worker gets", gibibytes)
    .option(
      "--ram <GiB>",
      "memory for what the GPU can't hold, or without a GPU for all of it (default without --vram: what is free here)",
      gibibytes,
    )
    .option("--context <tokens>", "prompt and answer of a job together", integerFrom(64, 2 ** 20), 8_192)
    .option("--slots <count>", "jobs that run at the same time", integerFrom(1, 256), 4)
    .option("--json", "every candidate, for machines")
    .action(async (flags: RecommendFlags) => {
      const { entries } = await loadCatalogue(modelsFile());
      const wish = toWish(flags);
      const recommendation = recommend(entries, wish);
      process.stdout.write(
        flags.json === true
          ? recommendationJson(wish, recommendation)
          : recommendationText(wish, recommendation),
      );
    });
}

interface RecommendFlags {
  task: Purpose;
  vram?: number;
  ram?: number;
  context: number;
  slots: number;
  json?: true;
}

function toWish({ task, vram, ram, context, slots }: RecommendFlags): RecommendationWish {
  return {
    purpose: task,
    vramBytes: vram ?? null,
    // Respects the limit of a container.
    ramBytes: ram ?? (vram === undefined ? process.availableMemory() : null),
    contextTokens: context,
    slots,
  };
}

function gibibytes(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= 100_000) return value * GIB;
  throw new InvalidArgumentError("It must be a number of GiB, like 12 or 7.5.");
}

function integerFrom(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= lowest && value <= highest) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
  };
}
