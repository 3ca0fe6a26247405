import type { Endpoint, JobRequest } from "../contract/job.ts";
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
): { model: string; request: JobRequest } {
  switch (endpoint) {
    case "/v1/chat/completions": {
      const { model, generation } = parseChatRequest(body, options);
      return { model, request: generation };
    }
    case "/v1/completions": {
      const { model, generation } = parseCompletionRequest(body, options);
      return { model, request: generation };
    }
    case "/v1/embeddings": {
      const { model, embedding } = parseEmbeddingsRequest(body);
      return { model, request: embedding };
    }
  }
}
