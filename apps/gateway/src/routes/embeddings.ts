import { parseEmbeddingsRequest } from "@quern/shared/openai/embeddings-request";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { replyWhole, submitAwaited } from "./awaited-job.ts";
import type { RouteContext } from "./route.ts";

/** `POST /v1/embeddings`: a job like any other, awaited. A caller that hangs up cancels it. */
export function embeddingsRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { embedding, ...asked } = parseEmbeddingsRequest(request.body);
    const endpoint = "/v1/embeddings";
    const awaited = await submitAwaited(context, request, response, {
      tenant,
      endpoint,
      ...asked,
      request: embedding,
      whenLeft: "cancel",
    });
    return replyWhole(context, awaited, response);
  };
}
