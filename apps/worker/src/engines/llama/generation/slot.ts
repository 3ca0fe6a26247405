import type { Token } from "node-llama-cpp";
import type { RunningGeneration } from "./running-generation.ts";

/**
 * Capacity for one running generation: a sequence of llama.cpp's context, with its KV cache. The cache outlives the
 * generation, so that a later one with the same beginning need not compute it again.
 */
export interface Slot {
  /** llama.cpp's sequence id. */
  readonly index: number;
  /** The tokens whose keys and values the cache holds, by position. */
  cached: Token[];
  /** Who may see what the cache holds; null: it holds nothing, or only what everyone may see. */
  cacheScope: string | null;
  lastUsedAtMs: number;
  running: RunningGeneration | null;
}

export function emptySlot(index: number): Slot {
  return { index, cached: [], cacheScope: null, lastUsedAtMs: Number.NEGATIVE_INFINITY, running: null };
}

/** What the cache will hold once the tokens that wait to be fed are in it. */
export function plannedTokens({ cached, running }: Slot): readonly Token[] {
  return running === null ? cached : running.fedAndPending(cached);
}
