import type { ModelDescription } from "@quern/shared/contract/worker";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import type { LoraAdapter } from "@quern/shared/models/lora-adapter";

/** What an engine child is told when it loads its model. */
export interface EngineOptions {
  modelPath: string;
  /** `embedding`: it makes vectors only, and needs no slots. */
  kind: ModelDescription["kind"];
  slots: number;
  /** Prompt and completion of one slot together. */
  contextTokens: number;
  threads: number;
  kvType: CatalogueEntry["kvType"];
  flashAttention: CatalogueEntry["flashAttention"];
  gpuLayers: CatalogueEntry["gpuLayers"];
  /** `cpu`, the one GPU that its child sees, or null: whatever llama.cpp finds. */
  gpu: string | null;
  loras: LoraAdapter[];
  telemetry: boolean;
  /** Where the caches of warm prefixes are kept. */
  stateDir: string;
  /** `batch`: the fast one, where this build of the library allows it; `sequence`: the public interface alone. */
  driver: "batch" | "sequence";
}

/** What loading taught about the model. */
export interface LoadedModelFacts {
  /** Numbers of a vector. */
  embeddingDimensions: number;
  architecture: string;
  parameters: number;
  /** The parameters that one token passes through; all of a dense model's. */
  activeParameters: number;
  experts: { total: number; used: number } | null;
  /** The type of most of the weights, like `Q4_K_M`; null: the file does not say. */
  quantization: string | null;
  trainedContextTokens: number;
  fileBytes: number;
  weightsBytes: number;
  contextBytes: number;
  /** null: the engine has no drivers, or an embedding model needs none. */
  driver: "batch" | "sequence" | null;
  /** `cpu`, or what computes (cuda, metal, vulkan) and which one if it is pinned: `cuda:0`. */
  device: string;
  /** Layers on the GPU, the output head being one. */
  gpuLayers: number;
  /** The memory plan it was loaded by, as a line for people; null: its header allows none. */
  memory: string | null;
}
