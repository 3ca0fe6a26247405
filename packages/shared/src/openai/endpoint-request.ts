import { QuernError } from "../contract/errors.ts";
import type { Endpoint, JobClass, JobRecord, JobRequest } from "../contract/job.ts";
import { parseChatRequest } from "./chat-request.ts";
import { parseCompletionRequest } from "./completion-request.ts";
import { parseEmbeddingsRequest } from "./embeddings-request.ts";
import { parseResponsesRequest } from "./responses-request.ts";
import type { DrawSeed } from "./text-body.ts";

/**
 * Translates a body as its endpoint reads it.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseEndpointRequest(
  endpoint: Endpoint,
  body: unknown,
  options: { drawSeed: DrawSeed },
): { model: string; class: JobClass; request: JobRequest; echoed?: JobRecord["echoed"] } {
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
    case "/v1/responses": {
      const parsed = parseResponsesRequest(body, options);
      if (parsed.previousResponseId !== null) throw needsItsOwnEndpoint("previous_response_id");
      const { model, class: jobClass, echoed, generationAfter } = parsed;
      return { model, class: jobClass, request: generationAfter([]), echoed };
    }
  }
}

/** An earlier response is looked up while somebody waits for the new one. */
function needsItsOwnEndpoint(param: string): QuernError {
  return new QuernError(
    "unsupported_parameter",
    `${param} is supported by POST /v1/responses itself only: here, send the earlier items in input`,
    { param },
  );
}
