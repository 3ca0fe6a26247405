import { chatChunks } from "@quern/shared/openai/chat-chunks";
import { parseChatRequest } from "@quern/shared/openai/chat-request";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { replyWhole, submitAwaited } from "./awaited-job.ts";
import type { RouteContext } from "./route.ts";
import { streamAnswer } from "./stream-answer.ts";

/** `POST /v1/chat/completions`: a job like any other, awaited. A caller that hangs up cancels it. */
export function chatCompletionsRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { model, generation, stream, includeUsage, ...asked } = parseChatRequest(request.body, {
      drawSeed,
    });
    const endpoint = "/v1/chat/completions";
    const awaited = await submitAwaited(context, response, {
      tenant,
      endpoint,
      ...asked,
      model,
      request: generation,
    });
    if (!stream) return replyWhole(context, awaited, response);
    const { id: jobId, model: servedModel, createdAtMs } = awaited.job;
    const chunks = chatChunks({
      jobId,
      model: servedModel,
      createdAtMs,
      includeUsage,
      class: awaited.job.class,
    });
    return streamAnswer(context, awaited, chunks, response);
  };
}
