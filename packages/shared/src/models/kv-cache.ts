/** How the slots' keys and values are kept. */
export type KvType = "f16" | "q8_0";

/** Bytes of one number: q8_0 keeps 32 of them in 34 bytes (`block_q8_0` of llama.cpp's ggml-common.h). */
const BYTES_PER_NUMBER: Record<KvType, number> = { f16: 2, q8_0: 34 / 32 };

/** llama.cpp rounds the cache of each sequence up to this (`n_ctx_seq` in llama-context.cpp). */
export const CONTEXT_STEP_TOKENS = 256;

/** llama.cpp's limit on sequences (`LLAMA_MAX_SEQ`). */
export const MAX_SLOTS = 256;

export interface SlotSizes {
  slots: number;
  /** Of each slot. */
  contextTokens: number;
  kvType: KvType;
}

/** `numbersPerToken`: keys and values of one token, in all layers together. */
export function kvCacheBytes({ slots, contextTokens, kvType }: SlotSizes, numbersPerToken: number): number {
  return slots * paddedContextTokens(contextTokens) * numbersPerToken * BYTES_PER_NUMBER[kvType];
}

export function paddedContextTokens(contextTokens: number): number {
  return Math.ceil(contextTokens / CONTEXT_STEP_TOKENS) * CONTEXT_STEP_TOKENS;
}
