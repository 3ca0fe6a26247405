import { RandomSource } from "@quern/testing/gguf/random-source";

/** The first tokens of every Qwen vocabulary: the 256 bytes. */
const BYTE_TOKENS = 256;

/** Tokens without meaning: a prompt's cost depends on its length only. The same seed gives the same tokens. */
export function randomTokens(count: number, seed: number): number[] {
  const random = new RandomSource(seed);
  // The low bits of xorshift are its weakest.
  return Array.from({ length: count }, () => (random.uint32() >>> 8) % BYTE_TOKENS);
}

/** One list, in an order that the seed determines (Fisher and Yates). */
export function shuffled<T>(values: readonly T[], seed: number): T[] {
  const random = new RandomSource(seed);
  const list = [...values];
  for (let last = list.length - 1; last > 0; last--) {
    const other = (random.uint32() >>> 8) % (last + 1);
    [list[last], list[other]] = [list[other] as T, list[last] as T];
  }
  return list;
}

/** llama.cpp rounds each slot's context up to this. */
const CONTEXT_STEP_TOKENS = 256;
/** A full context ends an answer, or shifts it: nobody may come near. */
const CONTEXT_SPARE_TOKENS = 16;

/** Room for one request in a slot. */
export function contextTokensFor(request: { promptTokens: number; maxTokens: number }): number {
  const needed = request.promptTokens + request.maxTokens + CONTEXT_SPARE_TOKENS;
  return Math.ceil(needed / CONTEXT_STEP_TOKENS) * CONTEXT_STEP_TOKENS;
}
