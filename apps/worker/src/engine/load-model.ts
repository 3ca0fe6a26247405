import { type GgufHeader, readGgufHeader } from "@quern/shared/models/gguf-header";
import { GgufFileType, type Llama, type LlamaContext, type LlamaModel } from "node-llama-cpp";
import { checkAdapters } from "../fit/adapters.ts";
import { describePlan } from "../fit/describe-plan.ts";
import { activeParameters } from "../fit/model-shape.ts";
import { BATCH_TOKENS, type MemoryPlan } from "../fit/plan-memory.ts";
import { settleFlashAttention } from "../fit/settle-flash-attention.ts";
import { planFor, requireFit } from "../fit/settle-plan.ts";
import type { Driver } from "./driver/driver.ts";
import { openDriver } from "./driver/open-driver.ts";
import { explainLoadFailure } from "./load-failure.ts";
import { type OpenDevice, openDevice } from "./open-device.ts";
import type { EngineOptions, LoadedModelFacts } from "./protocol.ts";

export interface LoadedModel extends AsyncDisposable {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly driver: Driver;
  readonly facts: LoadedModelFacts;
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
    const request = { ...options, flashAttention, adapterBytes };
    plan = planFor(header, request, opened.memories);
    if (plan !== null) requireFit(plan, header, request, opened.memories);
    return await load(request, header, opened, plan);
  } catch (error) {
    throw await explainLoadFailure(error, complaints, options.modelPath, plan);
  }
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
    facts: { ...factsOf(header, model, context, device, plan), driver: driver.name },
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
  context: LlamaContext,
  device: string,
  plan: MemoryPlan | null,
): Omit<LoadedModelFacts, "driver"> {
  const { architecture, parameterCount, expertCount, expertUsedCount, fileType } = header;
  const [weightsBytes = 0, contextBytes = 0] = [model.memoryUsage, context.memoryUsage].map(
    ({ ram, vram }) => ram + vram,
  );
  return {
    architecture,
    parameters: parameterCount,
    activeParameters: Math.round(activeParameters(header)),
    experts: expertCount === null ? null : { total: expertCount, used: expertUsedCount ?? expertCount },
    quantization: fileType === null ? null : (GgufFileType[fileType]?.replace(/^(MOSTLY|ALL)_/, "") ?? null),
    trainedContextTokens: model.trainContextSize,
    fileBytes: model.size,
    weightsBytes,
    contextBytes,
    device,
    gpuLayers: model.gpuLayers,
    memory: plan === null ? null : describePlan(plan),
  };
}
