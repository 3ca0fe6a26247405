import type { EmbeddingRequest } from "@quern/shared/contract/embedding";
import type { GenerationRequest, Sampling, TemplateTool } from "@quern/shared/contract/generation";
import type { EncodedTokens } from "./token-ids.ts";

/** How a model writes tool calls: as Qwen2.5 and Qwen3 do, or as Qwen3-Coder does. */
export type ToolCallForm = "hermes" | "xml";

/**
 * What the first generated text means. `thinking`: the prompt itself opened the think block. `undecided`: the model may
 * open one as its first word. `verbatim`: it continues in the middle of a text, so its first line breaks are part of it.
 */
export type OutputBegin = "thinking" | "undecided" | "answering" | "verbatim";

/** A generation request after preparation: token ids and a grammar. No text of the prompt is left in it. */
export interface PreparedGeneration {
  /** The prompt, with what is put behind it as the beginning of the answer. */
  promptTokens: EncodedTokens;
  begin: OutputBegin;
  /** What the content has to look like, as GBNF; null: as the model likes. */
  grammar: string | null;
  /** At least 1: what the caller allows and the context has room for. */
  maxTokens: number;
  /** The caller's sampling over the model's own for the mode. */
  sampling: Sampling;
  seed: number;
  logitBias: GenerationRequest["logitBias"];
  /** After this many tokens of reasoning `closing` is forced; null: no budget. */
  thinkingBudget: { tokens: number; closing: number[] } | null;
  topLogprobs: number | null;
  choices: number;
  stop: string[];
  /** What the answer may call; their parameter schemas tell how arguments are read. */
  tools: TemplateTool[];
  toolCallForm: ToolCallForm;
}

/** Texts to embed, as token ids. */
export interface PreparedEmbedding extends Pick<EmbeddingRequest, "dimensions" | "encoding"> {
  inputs: EncodedTokens[];
}

export type PreparedRequest =
  | { kind: "generation"; generation: PreparedGeneration }
  | { kind: "embedding"; embedding: PreparedEmbedding };
