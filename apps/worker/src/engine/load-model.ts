import { QuernError } from "@quern/shared/contract/errors";
import {
  getLlama,
  type Llama,
  type LlamaContext,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
} from "node-llama-cpp";
import type { EngineOptions, LoadedModelFacts } from "./protocol.ts";

export interface LoadedModel extends AsyncDisposable {
  readonly model: LlamaModel;
  /** One per slot, in ascending order of llama.cpp's sequence ids. They live as long as the model. */
  readonly sequences: readonly LlamaContextSequence[];
  readonly facts: LoadedModelFacts;
}

/** Tokens of one decode call: enough for a step over many slots, or one chunk of a prompt. */
const BATCH_TOKENS = 512;

/** @throws QuernError `model_load_failed` with what llama.cpp said. */
export async function loadModel(options: EngineOptions): Promise<LoadedModel> {
  const complaints: string[] = [];
  try {
    // Prebuilt binaries only: an engine must not start a compiler. More threads than cores stall each other.
    const llama = await getLlama({
      build: "never",
      maxThreads: options.threads,
      logLevel: LlamaLogLevel.warn,
      logger: (level, message) => {
        if (level === LlamaLogLevel.error || level === LlamaLogLevel.fatal) complaints.push(message.trim());
      },
    });
    // Without the check a file with NaN weights loads, and silently answers nonsense.
    const model = await llama.loadModel({ modelPath: options.modelPath, checkTensors: true });
    const context = await model.createContext({
      sequences: options.slots,
      contextSize: options.contextTokens,
      batchSize: Math.max(BATCH_TOKENS, options.slots),
      threads: options.threads,
      // The library leaves it off unless told; llama.cpp uses it wherever the device can, as llama-server does.
      flashAttention: "auto",
      experimentalKvCacheKeyType: options.kvType === "q8_0" ? "Q8_0" : "F16",
      experimentalKvCacheValueType: options.kvType === "q8_0" ? "Q8_0" : "F16",
    });
    const sequences = Array.from({ length: options.slots }, () => context.getSequence());
    return {
      model,
      sequences,
      facts: factsOf(llama, model, context),
      [Symbol.asyncDispose]: async () => {
        await context.dispose();
        await model.dispose();
        await llama.dispose();
      },
    };
  } catch (error) {
    const said = [error instanceof Error ? error.message : String(error), ...complaints.slice(-3)];
    throw new QuernError(
      "model_load_failed",
      `llama.cpp can't load ${options.modelPath}: ${said.join("; ")}`,
      {
        cause: error,
      },
    );
  }
}

function factsOf(llama: Llama, model: LlamaModel, context: LlamaContext): LoadedModelFacts {
  const { fileInfo } = model;
  const tensors = fileInfo.fullTensorInfo ?? fileInfo.tensorInfo ?? [];
  const architecture = fileInfo.architectureMetadata as { expert_count?: number; expert_used_count?: number };
  const sizes = [model.memoryUsage, context.memoryUsage].map(({ ram, vram }) => ram + vram);
  return {
    architecture: fileInfo.metadata.general.architecture,
    parameters: tensors.reduce((sum, { dimensions }) => sum + product(dimensions), 0),
    experts: architecture.expert_count
      ? {
          total: architecture.expert_count,
          used: architecture.expert_used_count ?? architecture.expert_count,
        }
      : null,
    trainedContextTokens: model.trainContextSize,
    fileBytes: model.size,
    weightsBytes: sizes[0] ?? 0,
    contextBytes: sizes[1] ?? 0,
    device: llama.gpu === false ? "cpu" : llama.gpu,
  };
}

function product(dimensions: readonly (number | bigint)[]): number {
  return dimensions.reduce((size: number, dimension) => size * Number(dimension), 1);
}
