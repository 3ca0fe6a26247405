import { type GenerationRequest, generationRequestSchema } from "./generation.ts";

/** The plainest request there is, for tests. */
export function generationRequest(changes: Partial<GenerationRequest> = {}): GenerationRequest {
  const plain = { messages: [{ role: "user", content: "Hi" }], tools: [], templateOptions: {}, sampling: {} };
  return { ...generationRequestSchema.parse({ ...plain, seed: 1, maxTokens: null, stop: [] }), ...changes };
}
