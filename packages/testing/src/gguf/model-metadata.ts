import { architectureMetadata, type ModelShape } from "./architecture.ts";
import type { MetadataValue } from "./gguf-writer.ts";
import type { TensorType } from "./quantize.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** `llama_ftype` of llama.cpp. */
const FILE_TYPES: Record<TensorType, number> = { f32: 0, q4_0: 2, q8_0: 7 };

/** Everything a model file says before its weights. */
export function modelMetadata(
  name: string,
  shape: ModelShape,
  tokenizer: Tokenizer,
  weights: TensorType,
): Map<string, MetadataValue> {
  return new Map<string, MetadataValue>([
    ["general.architecture", { string: shape.architecture }],
    ["general.type", { string: "model" }],
    ["general.name", { string: name }],
    ["general.file_type", { uint32: FILE_TYPES[weights] }],
    ["general.quantization_version", { uint32: 2 }],
    ...architectureMetadata(shape),
    ...tokenizer.metadata,
  ]);
}
