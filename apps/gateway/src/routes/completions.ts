import { completionChunks } from "@quern/shared/openai/completion-chunks";
import { parseCompletionRequest } from "@quern/shared/openai/completion-request";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { replyWhole, submitAwaited } from "./awaited-job.ts";
import type { RouteContext } from "./route.ts";
import { streamAnswer } from "./stream-answer.ts";

/** `POST /v1/completions`: a job like any other, awaited. A caller that hangs up cancels it. */
export function completionsRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { model, generation, stream, includeUsage, ...asked } = parseCompletionRequest(request.body, {
      drawSeed,
    });
    const endpoint = "/v1/completions";
    const awaited = await submitAwaited(context, request, response, {
      tenant,
      endpoint,
      ...asked,
      model,
      request: generation,
      whenLeft: "cancel",
    });
    if (!stream) return replyWhole(context, awaited, response);
    const { id: jobId, model: servedModel, createdAtMs } = awaited.job;
    const { choices } = generation;
    const chunks = completionChunks({ jobId, model: servedModel, createdAtMs, includeUsage, choices });
    return streamAnswer(context, awaited, chunks, response);
  };
}
