import type { PreparedGeneration } from "../../../protocol/prepared-request.ts";

/** llama.cpp's seeds are 32 bits wide; the highest one would mean "draw one". */
const SEEDS = 2 ** 32 - 1;

/** Every option is set: the library's own defaults (a seed from the clock, top_k 40, top_p 0.95) never apply. */
export interface SamplerOptions {
  /** 0: the likeliest token, always. */
  readonly temperature: number;
  /** 1: no cut. */
  readonly topP: number;
  /** 0: no cut. */
  readonly topK: number;
  /** 0: no cut. */
  readonly minP: number;
  readonly seed: number;
  /** Over all that was generated; they never count the prompt. */
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** A factor; 1 is none. */
  readonly repetitionPenalty: number;
  readonly logitBias: readonly { readonly token: number; readonly bias: number }[];
}

/** Where neither the caller nor the model says anything, nothing is cut off. */
export function samplerOptions(
  { sampling, seed, logitBias }: Pick<PreparedGeneration, "sampling" | "seed" | "logitBias">,
  choice = 0,
  resumedTokens = 0,
): SamplerOptions {
  return {
    temperature: sampling.temperature ?? 1,
    topP: sampling.topP ?? 1,
    topK: sampling.topK ?? 0,
    minP: sampling.minP ?? 0,
    // Each choice draws its own way, and the same way again in an attempt that starts anew. One that goes on behind
    // tokens draws another way than the beginning did.
    seed: (seed + choice + resumedTokens * 0x9e3779b1) % SEEDS,
    presencePenalty: sampling.presencePenalty ?? 0,
    frequencyPenalty: sampling.frequencyPenalty ?? 0,
    repetitionPenalty: sampling.repetitionPenalty ?? 1,
    logitBias,
  };
}

export function penalizes(options: SamplerOptions): boolean {
  const { presencePenalty, frequencyPenalty, repetitionPenalty } = options;
  return presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1;
}
