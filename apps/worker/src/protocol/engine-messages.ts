import type { EmbeddingRequest, EmbeddingResult } from "@quern/shared/contract/embedding";
import type { GenerationRequest, GenerationResult, Sampling, Usage } from "@quern/shared/contract/generation";
import type { JobClass, JobError } from "@quern/shared/contract/job";
import type { ModelDescription } from "@quern/shared/contract/worker";
import type { LoraAdapter } from "@quern/shared/models/lora-adapter";
import type { PlanRequest } from "../fit/plan-memory.ts";
import type { PromptRequest } from "../prepare/prompt/prompt-template.ts";
import type { Delta } from "./delta.ts";
import type { PublishedChoice } from "./published-choice.ts";

/** What a worker and its engine child say to each other over IPC. Both come from one checkout: no versions, no checks. */

export interface EngineOptions {
  modelPath: string;
  /** `embedding`: it makes vectors only, and needs no slots. */
  kind: ModelDescription["kind"];
  slots: number;
  /** Of these, how many requests of class `batch` leave free. */
  reservedSlots: number;
  /** Prompt and completion of one slot together. */
  contextTokens: number;
  threads: number;
  kvType: PlanRequest["kvType"];
  flashAttention: PlanRequest["flashAttention"];
  gpuLayers: PlanRequest["gpuLayers"];
  /** `cpu`, the one GPU that its child sees, or null: whatever llama.cpp finds. */
  gpu: string | null;
  loras: LoraAdapter[];
  thinking: ModelDescription["thinking"];
  /** How the model writes calls of tools; `none`: it has not learned to. */
  toolCalls: "hermes" | "xml" | "none";
  /** Whether it was trained to fill the gap between a prefix and a suffix. */
  fillInTheMiddle: boolean;
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
  /** Who waits for a slot gets one before those of class `batch`. */
  class: JobClass;
  /** Whether somebody may read the answer as it is written; otherwise only another attempt does, which goes on behind it. */
  isFollowed: boolean;
  request: GenerationRequest;
  traceparent: string | null;
  /** Whose it is: what its prompt leaves in a slot's cache serves nobody else, unless the model's entry allows it. */
  tenant: string;
  /** What earlier attempts have published: the engine goes on behind it, or tells that it can't (`restarted`). */
  published: PublishedChoice[];
}

/** As an EngineRequest, for vectors. They leave nothing behind that another tenant could profit from. */
export interface EmbeddingCommand {
  id: string;
  request: EmbeddingRequest;
  traceparent: string | null;
}

/** What loading taught about the model. */
export interface LoadedModelFacts {
  /** Numbers of a vector. */
  embeddingDimensions: number;
  architecture: string;
  parameters: number;
  /** Those that one token passes through: all of a dense model's. */
  activeParameters: number;
  experts: { total: number; used: number } | null;
  /** Of most of the weights, like `Q4_K_M`; null: the file does not say. */
  quantization: string | null;
  trainedContextTokens: number;
  fileBytes: number;
  weightsBytes: number;
  contextBytes: number;
  /** null: an embedding model has none. */
  driver: "batch" | "sequence" | null;
  /** `cpu`, or what computes (cuda, metal, vulkan) and which one if it is pinned: `cuda:0`. */
  device: string;
  /** Layers on the GPU, the output head being one. */
  gpuLayers: number;
  /** The plan it was loaded by, as a line for people; null: its header allows none. */
  memory: string | null;
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

/** Texts to be embedded. */
export type InputsRequest = Pick<EmbeddingRequest, "inputs">;

/** All vectors, or none when it was cancelled; the usage tells how far it came. */
export interface Embedded {
  result: EmbeddingResult | null;
  usage: Usage;
  timings: GenerationTimings;
}

export type EngineCommand =
  | { type: "load"; options: EngineOptions }
  | ({ type: "generate" } & EngineRequest)
  | ({ type: "embed" } & EmbeddingCommand)
  | { type: "cancel"; id: string }
  | { type: "count"; id: string; request: PromptRequest | InputsRequest }
  | { type: "close" };

export type GenerationEvent =
  /** What was published is void; the deltas begin anew. */
  | { type: "restarted"; id: string }
  | { type: "deltas"; id: string; deltas: Delta[] }
  | { type: "generated"; id: string; generated: Generated }
  | { type: "embedded"; id: string; embedded: Embedded }
  | { type: "refused"; id: string; error: JobError };

export type EngineReport =
  | { type: "loaded"; facts: LoadedModelFacts }
  | { type: "load_failed"; error: JobError }
  /** All that one step brought about. */
  | { type: "stepped"; events: GenerationEvent[] }
  /** Of the prompt, or of each input. */
  | { type: "counted"; id: string; tokens: number[] }
  | { type: "count_refused"; id: string; error: JobError };
