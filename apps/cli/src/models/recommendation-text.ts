import { formatGib } from "@quern/shared/models/format-gib";
import type {
  Candidate,
  Placement,
  Recommendation,
  RecommendationWish,
} from "@quern/shared/models/recommend";
import { formatParameters } from "./format-size.ts";
import { textTable } from "./text-table.ts";

const MAX_ROWS = 6;
const MAX_MISSES = 3;

const PLACES: Record<Placement, string> = { gpu: "GPU", ram: "memory", "gpu+ram": "GPU and memory" };

/** For people: the best quantization of each model that fits, how to start it, and what would almost fit. */
export function recommendationText(wish: RecommendationWish, recommendation: Recommendation): string {
  const fitting = bestOfEachModel(recommendation.candidates.filter(({ fit }) => fit.fits));
  const shown = fitting.slice(0, MAX_ROWS);
  const parts = [`For ${wish.purpose}, ${wishText(wish)}:`];
  if (shown.length === 0) parts.push("No model fits. Try fewer --slots, less --context or more memory.");
  else parts.push(fittingTable(shown).trimEnd(), commands(shown, wish));
  const missed = misses(recommendation, fitting);
  if (missed !== "") parts.push(missed);
  return `${parts.join("\n\n")}\n`;
}

/** For machines: everything that was weighed, in the order of preference. */
export function recommendationJson(wish: RecommendationWish, recommendation: Recommendation): string {
  const candidates = recommendation.candidates.map((candidate) => ({
    ...candidate,
    command: candidate.fit.fits ? commandOf(candidate, wish) : null,
  }));
  return `${JSON.stringify({ wish, ...recommendation, candidates }, null, 2)}\n`;
}

function bestOfEachModel(candidates: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ alias }) => !seen.has(alias) && seen.add(alias));
}

function wishText({ vramBytes, ramBytes, contextTokens, slots }: RecommendationWish): string {
  const slotsText = `${slots} ${slots === 1 ? "slot" : "slots"} × ${contextTokens.toLocaleString("en")} tokens`;
  if (vramBytes === null) return `${slotsText}, ${formatGib(ramBytes ?? 0)} of memory and no GPU`;
  const beside = ramBytes === null ? "" : ` and ${formatGib(ramBytes)} of memory`;
  return `${slotsText}, a GPU of ${formatGib(vramBytes)}${beside}`;
}

function fittingTable(candidates: readonly Candidate[]): string {
  const rows = candidates.map(({ alias, parameters, quantization, weights, totalBytes, fit }, index) => {
    if (!fit.fits) return [];
    const approximately = weights.basis === "known" ? "" : "≈ ";
    return [
      `${index + 1}`,
      alias,
      formatParameters(parameters),
      quantization,
      `${approximately}${formatGib(totalBytes[fit.kvType])}`,
      fit.kvType,
      PLACES[fit.placement],
    ];
  });
  return textTable(["", "MODEL", "PARAMETERS", "QUANT", "NEEDS", "KV", "ON"], rows, ["", "NEEDS"]);
}

function commands(candidates: readonly Candidate[], wish: RecommendationWish): string {
  return candidates
    .map((candidate, index) => `${index + 1}  ${candidate.reason}\n   ${commandOf(candidate, wish)}`)
    .join("\n");
}

function commandOf({ spec, fit }: Candidate, { purpose, slots, contextTokens }: RecommendationWish): string {
  // Vectors are made in one context, whatever the slots, in f16.
  if (purpose === "embedding") return `npm start -- --model ${spec} --context-tokens ${contextTokens}`;
  const flags = [`--model ${spec}`, `--slots ${slots}`, `--context-tokens ${contextTokens}`];
  if (fit.fits && fit.kvType === "q8_0") flags.push("--kv-type q8_0");
  if (fit.fits && fit.placement === "gpu+ram") flags.push("--gpu-layers auto");
  return `npm start -- ${flags.join(" ")}`;
}

/** The better models that don't fit, and what would make them. */
function misses({ candidates, tooShort }: Recommendation, fitting: readonly Candidate[]): string {
  const worst = Math.min(...fitting.map(({ capability }) => capability));
  const fits = new Set(fitting.map(({ alias }) => alias));
  const lines = bestOfEachModel(smallestFirst(candidates))
    .filter(
      ({ alias, fit, capability }) =>
        !fit.fits && !fits.has(alias) && (fits.size === 0 || capability > worst),
    )
    .sort((a, b) => a.totalBytes.q8_0 - b.totalBytes.q8_0)
    .slice(0, MAX_MISSES)
    .map(missText);
  if (tooShort.length > 0) {
    const names = tooShort.map(
      ({ alias, nativeContextTokens }) => `${alias} (${nativeContextTokens.toLocaleString("en")})`,
    );
    const more = names.length > MAX_MISSES ? ` and ${names.length - MAX_MISSES} more` : "";
    lines.push(`Trained for shorter contexts: ${names.slice(0, MAX_MISSES).join(", ")}${more}.`);
  }
  return lines.join("\n");
}

function smallestFirst(candidates: readonly Candidate[]): Candidate[] {
  return [...candidates].sort((a, b) => a.weights.bytes - b.weights.bytes);
}

function missText({ spec, fit }: Candidate): string {
  if (fit.fits) return "";
  const instead =
    fit.slots === 0
      ? ""
      : `; ${fit.slots} ${fit.slots === 1 ? "slot" : "slots"} of this context would fit with --kv-type q8_0`;
  return `Does not fit: ${spec}, ${formatGib(fit.shortBytes)} too large${instead}.`;
}
