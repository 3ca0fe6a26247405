import { QuernError } from "@quern/shared/contract/errors";
import type { LlamaEmbeddingContext, LlamaModel } from "node-llama-cpp";
import type { EngineOptions } from "../../../protocol/engine-options.ts";

/** Tokens of one decode. Longer inputs take several; the state of the last token is the vector in any case. */
const STEP_TOKENS = 512;

/** `llama_pooling_type` of llama.cpp; a file that says nothing is read at its last token, as `last` is. */
const POOLING = ["none", "mean", "cls", "last", "rank"];
const READABLE = new Set(["none", "last"]);

/** It takes one input at a time, of at most `contextTokens` tokens. */
export function openEmbeddingContext(
  model: LlamaModel,
  options: EngineOptions,
): Promise<LlamaEmbeddingContext> {
  return model.createEmbeddingContext(contextOptions(options));
}

/** The library does not tell what an embedding context took; this is what llama.cpp says that one would take. */
export async function embeddingContextBytes(model: LlamaModel, options: EngineOptions): Promise<number> {
  const { contextSize, batchSize } = contextOptions(options);
  const { cpuRam, gpuVram } = await model.fileInsights.estimateContextResourceRequirementsV2({
    contextSize,
    batchSize,
    modelGpuLayers: model.gpuLayers,
    isEmbeddingContext: true,
  });
  return cpuRam + gpuVram;
}

/** @throws QuernError `model_file_invalid` for a model whose vectors are not read at the last token. */
export function refuseOtherPooling(model: LlamaModel): void {
  const { pooling_type: type = 0 } = model.fileInfo.architectureMetadata as { pooling_type?: number };
  const pooling = POOLING[type] ?? `type ${type}`;
  if (READABLE.has(pooling)) return;
  throw new QuernError(
    "model_file_invalid",
    `this model pools its vectors by ${pooling}; Quern reads them at the last token, as Qwen's models want it`,
  );
}

function contextOptions({ contextTokens, threads }: EngineOptions) {
  // The library refuses an input as long as the context.
  return { contextSize: contextTokens + 1, batchSize: Math.min(STEP_TOKENS, contextTokens), threads };
}
