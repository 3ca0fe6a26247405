import { type GgufHeader, readGgufHeader } from "@quern/shared/models/gguf-header";
import { GgufFileType, type Llama, type LlamaContext, type LlamaModel } from "node-llama-cpp";
import { checkAdapters } from "../../fit/adapters.ts";
import { describePlan } from "../../fit/describe-plan.ts";
import { activeParameters } from "../../fit/model-shape.ts";
import { BATCH_TOKENS, type MemoryPlan } from "../../fit/plan-memory.ts";
import { settleFlashAttention } from "../../fit/settle-flash-attention.ts";
import { planFor, requireFit } from "../../fit/settle-plan.ts";
import type { EngineOptions, LoadedModelFacts } from "../../protocol/engine-options.ts";
import type { Driver } from "./driver/driver.ts";
import { openDriver } from "./driver/open-driver.ts";
import { embeddingContextBytes } from "./embedding/embedding-context.ts";
import { explainLoadFailure } from "./load-failure.ts";
import { type OpenDevice, openDevice } from "./open-device.ts";

export interface LoadedModel extends AsyncDisposable {
  readonly llama: Llama;
  readonly model: LlamaModel;
  /** null: an embedding model, whose context is its embedder's. */
  readonly driver: Driver | null;
  readonly facts: LoadedModelFacts;
}

export type LoadedChatModel = LoadedModel & { readonly driver: Driver };

export function isChatModel(loaded: LoadedModel): loaded is LoadedChatModel {
  return loaded.driver !== null;
}

/** @throws as `loadModel` does, and for an embedding model. */
export async function loadChatModel(options: EngineOptions): Promise<LoadedChatModel> {
  const loaded = await loadModel(options);
  if (isChatModel(loaded)) return loaded;
  await loaded[Symbol.asyncDispose]();
  throw new Error(`${options.modelPath} is loaded as an embedding model, which has no slots`);
}

/**
 * Plans the memory, then loads.
 * @throws QuernError `model_does_not_fit` before anything is loaded, `model_file_missing`, `model_file_invalid`,
 * `config_invalid` for a GPU that isn't there, `model_load_failed` with what llama.cpp said.
 */
export async function loadModel(options: EngineOptions): Promise<LoadedModel> {
  const complaints: string[] = [];
  let plan: MemoryPlan | null = null;
  try {
    const header = await readGgufHeader(options.modelPath);
    const adapterBytes = await checkAdapters(options.loras, header);
    const opened = await openDevice(options, (message) => complaints.push(message));
    const flashAttention = settleFlashAttention(options, header, opened.device);
    const request = {
      ...options,
      flashAttention,
      adapterBytes,
      ...(isEmbedding(options) ? ONE_CONTEXT : {}),
    };
    plan = planFor(header, request, opened.memories);
    if (plan !== null) requireFit(plan, header, request, opened.memories);
    return await load(request, header, opened, plan);
  } catch (error) {
    throw await explainLoadFailure(error, complaints, options.modelPath, plan);
  }
}

/** What an embedding model's memory holds, whatever its slots. */
const ONE_CONTEXT = { slots: 1, kvType: "f16" } as const;

function isEmbedding({ kind }: EngineOptions): boolean {
  return kind === "embedding";
}

async function load(
  options: EngineOptions,
  header: GgufHeader,
  { llama, device }: OpenDevice,
  plan: MemoryPlan | null,
): Promise<LoadedModel> {
  const model = await llama.loadModel({
    modelPath: options.modelPath,
    gpuLayers: plan?.gpuLayers ?? options.gpuLayers,
    // Without the check a file with NaN weights loads, and silently answers nonsense.
    checkTensors: true,
  });
  const facts = (contextBytes: number) => factsOf(header, model, contextBytes, device, plan);
  if (isEmbedding(options)) {
    const contextBytes = await embeddingContextBytes(model, options);
    return {
      llama,
      model,
      driver: null,
      facts: { ...facts(contextBytes), driver: null },
      [Symbol.asyncDispose]: async () => {
        await model.dispose();
        await llama.dispose();
      },
    };
  }
  const kvType = options.kvType === "q8_0" ? "Q8_0" : "F16";
  const context = await model.createContext({
    sequences: options.slots,
    contextSize: options.contextTokens,
    batchSize: BATCH_TOKENS,
    threads: options.threads,
    // The library leaves it off unless told.
    flashAttention: options.flashAttention === "auto" ? "auto" : options.flashAttention === "on",
    experimentalKvCacheKeyType: kvType,
    experimentalKvCacheValueType: kvType,
    lora: { adapters: options.loras.map(({ path, scale }) => ({ filePath: path, scale })) },
  });
  const { slots, contextTokens } = options;
  const sizes = { slots, slotTokens: contextTokens, stepTokens: BATCH_TOKENS };
  const driver = openDriver({ llama, model, context }, { driver: options.driver, ...sizes });
  return {
    llama,
    model,
    driver,
    facts: { ...facts(bytesOf(context)), driver: driver.name },
    [Symbol.asyncDispose]: async () => {
      await context.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}

function factsOf(
  header: GgufHeader,
  model: LlamaModel,
  contextBytes: number,
  device: string,
  plan: MemoryPlan | null,
): Omit<LoadedModelFacts, "driver"> {
  const { architecture, parameterCount, expertCount, expertUsedCount, fileType } = header;
  return {
    architecture,
    parameters: parameterCount,
    activeParameters: Math.round(activeParameters(header)),
    experts: expertCount === null ? null : { total: expertCount, used: expertUsedCount ?? expertCount },
    quantization: fileType === null ? null : (GgufFileType[fileType]?.replace(/^(MOSTLY|ALL)_/, "") ?? null),
    trainedContextTokens: model.trainContextSize,
    fileBytes: model.size,
    weightsBytes: bytesOf(model),
    contextBytes,
    embeddingDimensions: model.embeddingVectorSize,
    device,
    gpuLayers: model.gpuLayers,
    memory: plan === null ? null : describePlan(plan),
  };
}

function bytesOf({ memoryUsage: { ram, vram } }: LlamaModel | LlamaContext): number {
  return ram + vram;
}
