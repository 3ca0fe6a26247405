import type { LlamaGrammar, Token } from "node-llama-cpp";
import type { SamplerOptions } from "./sampling.ts";

/**
 * llama.cpp's attention on CPUs takes tokens of a prompt in tiles of so many. What fills no tile it takes token by token,
 * at several times the cost once the prompt is long (`docs/performance.md`).
 */
export const TILE_TOKENS = 64;

/**
 * How the step loop runs the model: one llama.cpp sequence per slot, numbered alike, each with a KV cache of its own.
 * Nothing here knows of jobs. Calls come one at a time: the next one only after the last one's promise.
 */
export interface Driver {
  readonly name: "batch" | "sequence";
  /** Most tokens that the feeds of one step may have together. */
  readonly stepTokens: number;
  /** Whether `copy` works, `topLogprobs` of a feed is answered. */
  readonly capabilities: { readonly copies: boolean; readonly logprobs: boolean };
  /**
   * Decodes all feeds, given in ascending order of their slots, and samples a token for each that asks. A feed that
   * fails does not touch the others; its slot's cache must be truncated before it is used again.
   */
  step(feeds: readonly Feed[]): Promise<FeedOutcome[]>;
  /** Forgets what the slot's cache holds from `position` on. */
  truncate(slot: number, position: number): Promise<void>;
  /** Makes the cache of `to` begin with the first `tokens` of `from`'s; what it held is forgotten. */
  copy(from: number, to: number, tokens: number): Promise<void>;
  /** Writes the slot's cache, which holds `tokens`, to a file. */
  save(slot: number, path: string, tokens: readonly Token[]): Promise<void>;
  /** Replaces the slot's cache by what `save` wrote. @returns its tokens. @throws when the file is damaged, or does not fit: a slot that was touched must be truncated. */
  load(slot: number, path: string): Promise<Token[]>;
  /** Whether a sampler can be bound by the grammar behind these tokens. */
  allows(grammar: LlamaGrammar, spoken: readonly Token[]): boolean;
  /** `spoken`: what was picked already, for penalties. */
  createSampler(options: SamplerOptions, spoken: readonly Token[]): Sampler;
}

/** What one slot adds to a step. */
export interface Feed {
  readonly slot: number;
  /** Where in the slot's cache the first token goes: behind all that it holds. */
  readonly position: number;
  readonly tokens: readonly Token[];
  /** Samples the token after the last one; null: nothing is sampled. */
  readonly sampler: Sampler | null;
  /** How many likeliest tokens to report with the sampled one's log-probability; null: none of it. */
  readonly topLogprobs: number | null;
}

export type FeedOutcome =
  | { kind: "fed" }
  | { kind: "sampled"; token: Token; probability: TokenProbability | null }
  | { kind: "failed"; error: Error };

/** Natural logarithms, of the model's own distribution: before penalties, temperature and cuts. */
export interface TokenProbability {
  logprob: number;
  /** The likeliest first. */
  top: { token: Token; logprob: number }[];
}

/** Picks tokens for one generation. It remembers what it picked (penalties, randomness), so it serves no second one. */
export interface Sampler {
  /**
   * From now on only what the grammar allows is picked. `spoken`: the tokens that it has allowed already.
   * @throws when it would not have.
   */
  constrain(grammar: LlamaGrammar, spoken: readonly Token[]): void;
  dispose(): void;
}
