export interface EmbeddingsResponse {
  object: "list";
  data: { object: "embedding"; index: number; embedding: number[] | string }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

export interface Embedded {
  model: string;
  /** One for each input, in the order of the inputs. */
  vectors: readonly (readonly number[])[];
  /** Of all inputs together. */
  promptTokens: number;
  encoding: "float" | "base64";
}

export function toEmbeddingsResponse({
  model,
  vectors,
  promptTokens,
  encoding,
}: Embedded): EmbeddingsResponse {
  return {
    object: "list",
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: encoding === "base64" ? toBase64(vector) : [...vector],
    })),
    model,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}

/** OpenAI's form, which its clients ask for by themselves: 32-bit floats, the low byte first. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT);
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * Float32Array.BYTES_PER_ELEMENT);
  return bytes.toString("base64");
}
