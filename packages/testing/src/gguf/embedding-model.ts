import type { MetadataValue } from "./gguf-writer.ts";
import { writeRandomModel } from "./random-model.ts";

/** `llama_pooling_type` of llama.cpp. */
const POOLING = { mean: 1, last: 3 };

interface EmbeddingModelOptions {
  pooling?: keyof typeof POOLING;
  /** Whether the file says by itself that texts end with its end token; not all files of Qwen3-Embedding do. */
  appendsEnd?: boolean;
}

/** A tiny model like Qwen3-Embedding: its architecture with tied embeddings, and vectors read off the last token. */
export async function writeEmbeddingModel(
  path: string,
  { pooling = "last", appendsEnd = false }: EmbeddingModelOptions = {},
): Promise<void> {
  const metadata = new Map<string, MetadataValue>([["qwen3.pooling_type", { uint32: POOLING[pooling] }]]);
  if (appendsEnd) metadata.set("tokenizer.ggml.add_eos_token", { bool: true });
  await writeRandomModel(path, { architecture: "qwen3", tied: true, metadata });
}
