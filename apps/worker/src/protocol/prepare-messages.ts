import type { EmbeddingRequest } from "@quern/shared/contract/embedding";
import type { GenerationRequest, Sampling } from "@quern/shared/contract/generation";
import type { JobError, JobRequest } from "@quern/shared/contract/job";
import type { ModelDescription } from "@quern/shared/contract/worker";
import type { PreparedRequest } from "./prepared-request.ts";

/** What a worker and its preparer children say to each other over IPC. Both come from one checkout. */

export interface PreparerOptions {
  /** Only its vocabulary and its header are loaded. */
  modelPath: string;
  kind: ModelDescription["kind"];
  /** What one slot can hold: a prompt that leaves no room for an answer is refused. */
  contextTokens: number;
  thinking: ModelDescription["thinking"];
  /** How the model writes tool calls; `none`: it has not learned to. */
  toolCalls: "hermes" | "xml" | "none";
  /** Whether the model was trained to fill the gap between a prefix and a suffix. */
  fillInTheMiddle: boolean;
  /** The model's own sampling, which applies where the caller names none, per mode. */
  sampling: { thinking: Sampling; plain: Sampling };
  /** System prompts that the operator declared. */
  systemPrompts: readonly string[];
}

/** The part of a generation request that the prompt is made from. */
export type PromptRequest = Pick<GenerationRequest, "completion" | "messages" | "tools" | "templateOptions">;
/** Texts to embed. */
export type InputsRequest = Pick<EmbeddingRequest, "inputs">;

/** What a preparer learned from the model's vocabulary. */
export interface VocabularyFacts {
  /** Bytes of the longest token: a text of n bytes has at least n / maxTokenBytes tokens. */
  maxTokenBytes: number;
  /** The tokens that every conversation under each declared system prompt begins with. */
  warmPrefixes: number[][];
}

export type PrepareCommand =
  | { type: "load"; options: PreparerOptions }
  /** `quick`: a request that turns out to take long is given back (`takes_long`). */
  | { type: "prepare"; id: string; request: JobRequest; effort: "quick" | "any" }
  /** `requestJson`: a `CountedRequest`, as a gateway sent it. */
  | { type: "count"; id: string; requestJson: string }
  | { type: "close" };

export type PrepareReport =
  | { type: "loaded"; facts: VocabularyFacts }
  | { type: "load_failed"; error: JobError }
  | { type: "prepared"; id: string; prepared: PreparedRequest }
  /** Tokens of the prompt, or of each input. */
  | { type: "counted"; id: string; tokens: number[] }
  | { type: "takes_long"; id: string }
  | { type: "refused"; id: string; error: JobError };
