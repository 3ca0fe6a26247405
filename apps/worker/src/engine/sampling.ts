import type { GenerationRequest, Sampling } from "@quern/shared/contract/generation";
import type { SequenceEvaluateOptions } from "node-llama-cpp";

/** llama.cpp's seeds are 32 bits wide; the highest one would mean "draw one". */
const SEEDS = 2 ** 32 - 1;

export type SamplerOptions = Required<
  Pick<SequenceEvaluateOptions, "temperature" | "topP" | "topK" | "minP" | "seed">
>;

/**
 * Every option is set: the library's own defaults (a seed from the clock, top_k 40, top_p 0.95) never apply. Where
 * neither the caller nor the model says anything, nothing is cut off.
 */
export function samplerOptions(
  request: Pick<GenerationRequest, "sampling" | "seed">,
  modelDefaults: Sampling,
): SamplerOptions {
  const { temperature, topP, topK, minP } = { ...modelDefaults, ...definedOnly(request.sampling) };
  return {
    temperature: temperature ?? 1,
    topP: topP ?? 1,
    topK: topK ?? 0,
    minP: minP ?? 0,
    seed: request.seed % SEEDS,
  };
}

function definedOnly(sampling: Sampling): Sampling {
  return Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined));
}
