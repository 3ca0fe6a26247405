import type { CatalogueEntry } from "./catalogue-schema.ts";
import { computedFileBytes, quantizationName } from "./quantizations.ts";

/** `computed` from parameters and bits per weight: within 8% from 4B up, too low for smaller models. */
export interface ModelSize {
  bytes: number;
  basis: "known" | "computed";
}

/** All files of one quantization together; null: neither the size nor the parameters are known. */
export function sizeOf(entry: CatalogueEntry, quantization: string): ModelSize | null {
  const known = entry.fileBytes[quantization];
  if (known !== undefined) return { bytes: known, basis: "known" };
  const bytes = entry.parameters && computedFileBytes(entry.parameters.total, quantization);
  return bytes === null ? null : { bytes, basis: "computed" };
}

/** The quantization that the entry serves; null: its source doesn't name one. */
export function servedQuantization({ source }: Pick<CatalogueEntry, "source">): string | null {
  const named = source.kind === "hf" && !source.quantization.endsWith(".gguf");
  return named ? quantizationName(source.quantization) : null;
}
