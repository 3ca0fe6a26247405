import type { CatalogueEntry } from "./catalogue-schema.ts";
import type { Level } from "./purposes.ts";
import { familyFacts } from "./qwen-families.ts";

/** What a level is worth, in doublings of the size. */
const LEVEL_WORTH: Record<Level, number> = { fair: 0, good: 1.5, best: 3 };

/** What a quantization costs, in doublings of the size; finer ones cost nothing that anybody measures. */
const QUANTIZATION_LOSS: Record<string, number> = {
  Q2_K: 2.5,
  Q3_K_M: 1,
  IQ4_XS: 0.4,
  Q4_0: 0.5,
  Q4_K_S: 0.4,
  Q4_K_M: 0.3,
  Q5_0: 0.1,
  Q5_K_S: 0.1,
  Q5_K_M: 0.1,
};

/** What a year of progress is worth, in doublings of the size. */
const DOUBLINGS_PER_YEAR = 1;

/**
 * How well a model may be expected to do, in doublings of the size of a 1B model. A rule of thumb, to order candidates
 * by: what it was trained for, its size, its age and its quantization, in units of one kind.
 */
export function capabilityOf(entry: CatalogueEntry, level: Level, quantization: string): number {
  return (
    Math.log2(effectiveParameters(entry) / 1e9) +
    LEVEL_WORTH[level] +
    yearsSince2024(entry) * DOUBLINGS_PER_YEAR -
    (QUANTIZATION_LOSS[quantization] ?? 0)
  );
}

/** A mixture of experts knows more than its active part and thinks less than its whole: total^⅔ × active^⅓. */
function effectiveParameters({ parameters }: CatalogueEntry): number {
  if (parameters === null) return 1e9;
  return parameters.total ** (2 / 3) * parameters.active ** (1 / 3);
}

/** A model of no known family counts as one of 2025. */
function yearsSince2024({ family }: CatalogueEntry): number {
  if (family === null) return 1;
  const [year = 2025, month = 1] = familyFacts(family).released.split("-").map(Number);
  return year - 2024 + (month - 1) / 12;
}
