import { capabilityOf } from "./capability.ts";
import type { CatalogueEntry } from "./catalogue-schema.ts";
import { estimateMemory, type KvType, kvBytesPerTokenF16, slotsThatFit } from "./memory-estimate.ts";
import { type ModelSize, servedQuantization, sizeOf } from "./model-size.ts";
import { describeModelSource } from "./model-source.ts";
import type { Level, Purpose } from "./purposes.ts";

/** What somebody has, and wants. */
export interface RecommendationWish {
  purpose: Purpose;
  /** Of one GPU; null: there is none. */
  vramBytes: number | null;
  /** Beside the GPU, or instead of one; null: nothing may go there. */
  ramBytes: number | null;
  /** Of each slot. */
  contextTokens: number;
  slots: number;
}

/** Where a model runs: all on the GPU, in memory alone, or some layers on each (much slower than the GPU alone). */
export type Placement = "gpu" | "ram" | "gpu+ram";

export interface Candidate {
  alias: string;
  /** What `--model` takes for exactly this quantization. */
  spec: string;
  quantization: string;
  level: Level;
  reason: string;
  parameters: { total: number; active: number };
  weights: ModelSize;
  /** With the slots that were asked for, by how their memory is kept. */
  totalBytes: Record<KvType, number>;
  fit: Fit;
  /** The rank among the candidates: the higher the better. */
  capability: number;
}

export type Fit =
  | { fits: true; placement: Placement; kvType: KvType; budgetBytes: number }
  /** `slots`: how many would fit instead, with keys and values in q8_0; 0: none. */
  | { fits: false; slots: number; shortBytes: number };

/** Models that are good for the purpose but were trained for shorter contexts than asked. */
export interface TooShort {
  alias: string;
  nativeContextTokens: number;
}

export interface Recommendation {
  /** Every suitable model in every quantization, the best first: what fits whole, what fits in parts, what doesn't. */
  candidates: Candidate[];
  tooShort: TooShort[];
}

/** Pure arithmetic over the catalogue. Entries without known parameters or attention can't be judged and are left out. */
export function recommend(entries: readonly CatalogueEntry[], wish: RecommendationWish): Recommendation {
  const suitable = entries.filter(({ goodFor }) => goodFor[wish.purpose] !== undefined);
  const isTooShort = ({ nativeContextTokens }: CatalogueEntry) =>
    nativeContextTokens !== null && nativeContextTokens < wish.contextTokens;
  return {
    candidates: suitable
      .filter((entry) => !isTooShort(entry))
      .flatMap((entry) => candidatesOf(entry, wish))
      .sort(
        (a, b) => order(a) - order(b) || b.capability - a.capability || a.weights.bytes - b.weights.bytes,
      ),
    tooShort: suitable
      .filter(isTooShort)
      .map(({ alias, nativeContextTokens }) => ({ alias, nativeContextTokens: nativeContextTokens ?? 0 })),
  };
}

function order({ fit }: Candidate): number {
  if (!fit.fits) return 2;
  return fit.placement === "gpu+ram" ? 1 : 0;
}

function candidatesOf(entry: CatalogueEntry, wish: RecommendationWish): Candidate[] {
  const { parameters, attention, goodFor } = entry;
  const suited = goodFor[wish.purpose];
  if (parameters === null || attention === null || suited === undefined) return [];
  return entry.quantizations.flatMap((quantization) => {
    const weights = sizeOf(entry, quantization);
    if (weights === null) return [];
    const needs = {
      weightsBytes: weights.bytes,
      kvBytesPerTokenF16: kvBytesPerTokenF16(attention),
      contextTokens: wish.contextTokens,
      slots: wish.slots,
    };
    const totalBytes = {
      f16: estimateMemory({ ...needs, kvType: "f16" }).totalBytes,
      q8_0: estimateMemory({ ...needs, kvType: "q8_0" }).totalBytes,
    };
    return [
      {
        alias: entry.alias,
        spec: specOf(entry, quantization),
        quantization,
        ...suited,
        parameters,
        weights,
        totalBytes,
        fit: fitOf(totalBytes, wish, (budgetBytes) =>
          slotsThatFit({ ...needs, kvType: "q8_0" }, budgetBytes),
        ),
        capability: capabilityOf(entry, suited.level, quantization),
      },
    ];
  });
}

/** The first place that has room, the finer keys and values first. */
function fitOf(
  totalBytes: Record<KvType, number>,
  { vramBytes, ramBytes }: RecommendationWish,
  slotsWithin: (budgetBytes: number) => number,
): Fit {
  const places: [Placement, number | null][] =
    vramBytes === null
      ? [["ram", ramBytes]]
      : [
          ["gpu", vramBytes],
          ["gpu+ram", ramBytes === null ? null : vramBytes + ramBytes],
        ];
  let largestBytes = 0;
  for (const [placement, budgetBytes] of places) {
    if (budgetBytes === null) continue;
    largestBytes = Math.max(largestBytes, budgetBytes);
    for (const kvType of ["f16", "q8_0"] as const) {
      if (totalBytes[kvType] <= budgetBytes) return { fits: true, placement, kvType, budgetBytes };
    }
  }
  return { fits: false, slots: slotsWithin(largestBytes), shortBytes: totalBytes.q8_0 - largestBytes };
}

function specOf(entry: CatalogueEntry, quantization: string): string {
  const { source, alias } = entry;
  if (servedQuantization(entry) === quantization) return alias;
  return source.kind === "hf" ? `${alias}:${quantization}` : describeModelSource(source);
}
