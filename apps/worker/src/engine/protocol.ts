import type { GenerationRequest, GenerationResult, Sampling, Usage } from "@quern/shared/contract/generation";
import type { JobError } from "@quern/shared/contract/job";
import type { ModelDescription } from "@quern/shared/contract/worker";
import type { Delta } from "./output/delta.ts";
import type { PromptRequest } from "./prompt/prompt-template.ts";

/** What a worker and its engine child say to each other over IPC. Both come from one checkout: no versions, no checks. */

export interface EngineOptions {
  modelPath: string;
  slots: number;
  /** Prompt and completion of one slot together. */
  contextTokens: number;
  threads: number;
  kvType: "f16" | "q8_0";
  thinking: ModelDescription["thinking"];
  /** How the model writes calls of tools; `none`: it has not learned to. */
  toolCalls: "hermes" | "xml" | "none";
  /** The model's sampling where the caller says nothing, per mode. */
  sampling: { thinking: Sampling; plain: Sampling };
  telemetry: boolean;
  /** `all`: a prompt may begin with what another tenant's left in a cache. */
  prefixSharing: "tenant" | "all";
  /** Declared system prompts, whose caches are kept in `stateDir` and may serve every tenant. */
  systemPrompts: readonly string[];
  stateDir: string;
  /** `batch`: the fast one, where this build of the library allows it; `sequence`: the public interface alone. */
  driver: "batch" | "sequence";
}

/** One request of a job, on its way to the engine. */
export interface EngineRequest {
  id: string;
  request: GenerationRequest;
  traceparent: string | null;
  /** Whose it is: what its prompt leaves in a slot's cache serves nobody else, unless the model's entry allows it. */
  tenant: string;
}

/** What loading taught about the model. */
export interface LoadedModelFacts {
  architecture: string;
  parameters: number;
  experts: { total: number; used: number } | null;
  trainedContextTokens: number;
  fileBytes: number;
  weightsBytes: number;
  contextBytes: number;
  driver: "batch" | "sequence";
  /** `cpu`, or the compute layer that runs it: cuda, metal, vulkan. */
  device: string;
}

/** Unix milliseconds with fractions. */
export interface GenerationTimings {
  slotAtMs: number;
  firstTokenAtMs: number | null;
  endedAtMs: number;
}

/** A generation that ended by itself or was cancelled (then `finishReason` is null). */
export interface Generated {
  result: GenerationResult;
  usage: Usage;
  timings: GenerationTimings;
}

export type EngineCommand =
  | { type: "load"; options: EngineOptions }
  | ({ type: "generate" } & EngineRequest)
  | { type: "cancel"; id: string }
  | { type: "count"; id: string; request: PromptRequest }
  | { type: "close" };

export type GenerationEvent =
  | { type: "deltas"; id: string; deltas: Delta[] }
  | { type: "generated"; id: string; generated: Generated }
  | { type: "refused"; id: string; error: JobError };

export type EngineReport =
  | { type: "loaded"; facts: LoadedModelFacts }
  | { type: "load_failed"; error: JobError }
  /** All that one step brought about. */
  | { type: "stepped"; events: GenerationEvent[] }
  | { type: "counted"; id: string; promptTokens: number }
  | { type: "count_refused"; id: string; error: JobError };
