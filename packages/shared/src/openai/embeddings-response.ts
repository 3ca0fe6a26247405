import type { EmbeddingResult } from "../contract/embedding.ts";
import type { Usage } from "../contract/generation.ts";

export interface EmbeddingsResponse {
  object: "list";
  data: { object: "embedding"; index: number; embedding: number[] | string }[];
  model: string;
  /** Of all inputs together. */
  usage: { prompt_tokens: number; total_tokens: number };
}

export function toEmbeddingsResponse({
  model,
  result: { vectors, encoding },
  usage: { promptTokens },
}: {
  model: string;
  result: EmbeddingResult;
  usage: Usage;
}): EmbeddingsResponse {
  return {
    object: "list",
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      // Base64 of 32-bit floats is OpenAI's form too, and what its clients ask for by themselves.
      embedding: encoding === "base64" ? vector : toNumbers(vector),
    })),
    model,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}

function toNumbers(vector: string): number[] {
  const bytes = Buffer.from(vector, "base64");
  const size = Float32Array.BYTES_PER_ELEMENT;
  return Array.from({ length: bytes.length / size }, (_, i) => bytes.readFloatLE(i * size));
}
