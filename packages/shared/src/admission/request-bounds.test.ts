import { expect, test } from "vitest";
import { generationRequest } from "../contract/generation-request.fixture.ts";
import type { ModelDescription } from "../contract/worker.ts";
import { refuseUnbounded } from "./request-bounds.ts";

const chat: ModelDescription = {
  model: "writer",
  aliases: [],
  kind: "chat",
  embeddingDimensions: 64,
  architecture: "qwen3",
  parameters: 1,
  experts: null,
  contextTokens: 1_024,
  thinking: "never",
  fileBytes: 1,
  maxTokenBytes: null,
};
const embedder: ModelDescription = { ...chat, model: "embedder", kind: "embedding" };
const vectors = (dimensions: number | null) => ({ inputs: ["a"], dimensions, encoding: "float" as const });

test("text and vectors within a model's bounds pass", () => {
  refuseUnbounded(generationRequest({ maxTokens: 1_024 }), chat, [chat]);
  refuseUnbounded(vectors(64), embedder, [chat, embedder]);
  refuseUnbounded(vectors(10_000), { ...embedder, embeddingDimensions: null }, []);
});

test.each([
  ["an answer longer than the context", generationRequest({ maxTokens: 1_025 }), chat, "max_tokens"],
  ["text of an embedding model", generationRequest(), embedder, "model"],
  ["more dimensions than there are", vectors(65), embedder, "dimensions"],
])("%s is refused", (_, request, model, param) => {
  expect(() => refuseUnbounded(request, model, [chat, embedder])).toThrow(
    expect.objectContaining({ code: "invalid_request", param }),
  );
});

test("the models that write are named to whoever asks one that doesn't", () => {
  expect(() => refuseUnbounded(generationRequest(), embedder, [chat, embedder])).toThrow(/served: writer\)/);
});
