import type { GenerationRequest } from "./generation.ts";

/** The plainest request there is, for tests. */
export function generationRequest(changes: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    messages: [{ role: "user", content: "Hi" }],
    tools: [],
    templateOptions: {},
    sampling: {},
    seed: 1,
    maxTokens: null,
    stop: [],
    ...changes,
  };
}
