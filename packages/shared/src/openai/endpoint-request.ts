import type { Endpoint, JobClass, JobRequest } from "../contract/job.ts";
import { parseChatRequest } from "./chat-request.ts";
import { parseCompletionRequest } from "./completion-request.ts";
import { parseEmbeddingsRequest } from "./embeddings-request.ts";
import type { DrawSeed } from "./text-body.ts";

/**
 * Translates a body as its endpoint reads it.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseEndpointRequest(
  endpoint: Endpoint,
  body: unknown,
  options: { drawSeed: DrawSeed },
): { model: string; class: JobClass; request: JobRequest } {
  switch (endpoint) {
    case "/v1/chat/completions": {
      const { model, class: jobClass, generation } = parseChatRequest(body, options);
      return { model, class: jobClass, request: generation };
    }
    case "/v1/completions": {
      const { model, class: jobClass, generation } = parseCompletionRequest(body, options);
      return { model, class: jobClass, request: generation };
    }
    case "/v1/embeddings": {
      const { model, class: jobClass, embedding } = parseEmbeddingsRequest(body);
      return { model, class: jobClass, request: embedding };
    }
  }
}
