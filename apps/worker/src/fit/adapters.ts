import { QuernError } from "@quern/shared/contract/errors";
import { type GgufHeader, readGgufHeader } from "@quern/shared/models/gguf-header";
import type { LoraAdapter } from "@quern/shared/models/lora-adapter";

/**
 * Bytes that the adapters take beside the model.
 * @throws QuernError `model_file_missing` or `model_file_invalid` when one is not there, is no adapter, or was made for
 * another model.
 */
export async function checkAdapters(adapters: readonly LoraAdapter[], model: GgufHeader): Promise<number> {
  let bytes = 0;
  for (const { path } of adapters) {
    const adapter = await readAdapter(path);
    const misfit = findMisfit(adapter, model);
    if (misfit !== null) {
      throw new QuernError(
        "model_file_invalid",
        `the LoRA adapter ${path} does not fit the model: ${misfit}; take one that was trained on this model`,
      );
    }
    bytes += adapter.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  }
  return bytes;
}

async function readAdapter(path: string): Promise<GgufHeader> {
  try {
    return await readGgufHeader(path);
  } catch (cause) {
    if (!(cause instanceof QuernError)) throw cause;
    const message =
      cause.code === "model_file_missing"
        ? `there is no LoRA adapter ${path}: check the path`
        : `LoRA adapter: ${cause.message}`;
    throw new QuernError(cause.code, message, { cause });
  }
}

/** llama.cpp finds the same faults (`llama-adapter.cpp`), after it has loaded the model. */
function findMisfit(adapter: GgufHeader, model: GgufHeader): string | null {
  if (!adapter.tensors.some(({ name }) => name.endsWith(".lora_a"))) return "it is no LoRA adapter";
  if (adapter.architecture !== model.architecture) {
    return `it is for ${adapter.architecture}, the model is ${model.architecture}`;
  }
  const shapes = new Map(model.tensors.map(({ name, shape }) => [name, shape]));
  for (const { name, shape } of adapter.tensors) {
    const [, changed = "", side = ""] = /^(.*)\.lora_(a|b)$/.exec(name) ?? [];
    const changes = shapes.get(changed);
    if (side === "") continue;
    if (changes === undefined) return `it changes ${changed}, which the model does not have`;
    // The embeddings' pair is transposed, so only llama.cpp compares its lengths.
    if (changed === "token_embd.weight") continue;
    const [mine, models] = side === "a" ? [shape[0], changes[0]] : [shape[1], changes[1]];
    if (mine !== models) return `${changed} has a length of ${models}, the adapter has ${mine}`;
  }
  return null;
}
