import { chatChunks } from "@quern/shared/openai/chat-chunks";
import { parseChatRequest } from "@quern/shared/openai/chat-request";
import { deadlineWishOfHeader, TTL_HEADER } from "@quern/shared/openai/deadline";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { acceptJob } from "./accept-job.ts";
import { replyWhole, submitAwaited } from "./awaited-job.ts";
import { replyWithJob } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";
import { streamAnswer } from "./stream-answer.ts";

/**
 * `POST /v1/chat/completions`: a job like any other, awaited. A caller that hangs up cancels it, unless it is stored or runs
 * in the background.
 */
export function chatCompletionsRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { model, generation, background, store, stream, includeUsage, ...asked } = parseChatRequest(
      request.body,
      { drawSeed },
    );
    const endpoint = "/v1/chat/completions";
    if (background && !stream) {
      const deadline = deadlineWishOfHeader(request.header(TTL_HEADER));
      const job = { tenant, endpoint, ...asked, model, request: generation, metadata: {}, deadline } as const;
      const accepted = await acceptJob(context, request, job, "queue");
      return replyWithJob(context, accepted, response);
    }
    const awaited = await submitAwaited(context, request, response, {
      tenant,
      endpoint,
      ...asked,
      model,
      request: generation,
      whenLeft: store || background ? "run_on" : "cancel",
    });
    if (!stream) return replyWhole(context, awaited, response);
    const { id: jobId, model: servedModel, createdAtMs } = awaited.job;
    const chunks = chatChunks({
      jobId,
      model: servedModel,
      createdAtMs,
      includeUsage,
      choices: generation.choices,
      class: awaited.job.class,
    });
    return streamAnswer(context, awaited, chunks, response);
  };
}
