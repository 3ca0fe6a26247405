import type { LlamaGrammar, Token } from "node-llama-cpp";
import type { EntryOrder } from "../../../protocol/entry-order.ts";
import type { SamplerOptions } from "../driver/sampling.ts";
import type { GenerationOutput } from "../output/generation-output.ts";
import type { Spoken } from "../resume/replay.ts";

/** A request whose prompt is read and fits: what waits for a slot. A job has one for each choice that it asks for. */
export interface Generation {
  readonly id: string;
  /** Counted from 0. */
  readonly choice: number;
  readonly order: EntryOrder;
  /** Whether somebody may read it as it is written. */
  readonly isFollowed: boolean;
  /** What the cache has to hold before the next token is sampled: the prompt, and what was spoken already. */
  readonly inputTokens: readonly Token[];
  /** How many of them are the prompt's. */
  readonly promptLength: number;
  /** What an earlier attempt has generated; null: nothing. */
  readonly spoken: Spoken | null;
  /** Which caches it may read, and who may read what it leaves. */
  readonly cacheScope: string;
  /** At least 1; what the caller allows and the context has room for. */
  readonly maxTokens: number;
  readonly sampling: SamplerOptions;
  /** What the content has to look like; null: as the model likes. */
  readonly grammar: LlamaGrammar | null;
  /** Tokens of reasoning after which `closing` is put into the model's mouth; null: it may think as long as it likes. */
  readonly thinkingBudget: { readonly tokens: number; readonly closing: readonly Token[] } | null;
  /** null: no log-probabilities. */
  readonly topLogprobs: number | null;
  readonly output: GenerationOutput;
  cancelled: boolean;
}
