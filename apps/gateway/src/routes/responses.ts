import { deadlineWishOfHeader, TTL_HEADER } from "@quern/shared/openai/deadline";
import { parseResponsesRequest } from "@quern/shared/openai/responses-request";
import { toResponse } from "@quern/shared/openai/responses-response";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { acceptJob } from "./accept-job.ts";
import { replyWhole, submitAwaited } from "./awaited-job.ts";
import { earlierMessages } from "./earlier-messages.ts";
import { nameJob, recordOf } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";
import { streamResponse } from "./stream-response.ts";

/**
 * `POST /v1/responses`: a job like any other, awaited, streamed, or in the background. A caller that hangs up cancels it,
 * unless it is stored by its own wish or runs in the background.
 */
export function responsesRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    const caller = authenticate(request);
    const parsed = parseResponsesRequest(request.body, { drawSeed });
    const earlier = await earlierMessages(context.redis, caller, parsed.previousResponseId);
    const { model, class: jobClass, background, store, stream, echoed, metadata } = parsed;
    const asked = {
      tenant: caller.tenant,
      endpoint: "/v1/responses",
      class: jobClass,
      model,
      request: parsed.generationAfter(earlier),
      metadata,
      echoed,
    } as const;
    if (background && !stream) {
      const deadline = deadlineWishOfHeader(request.header(TTL_HEADER));
      const accepted = await acceptJob(context, request, { ...asked, deadline }, "queue");
      nameJob(accepted, response);
      response.json(toResponse(await recordOf(context.redis, accepted)));
      return;
    }
    const whenLeft = store || background ? "run_on" : "cancel";
    const awaited = await submitAwaited(context, request, response, { ...asked, whenLeft });
    if (!stream) return replyWhole(context, awaited, response);
    const { job, gone } = awaited;
    const reader = { startingAfter: null, gone, leaving: context.closing };
    return streamResponse(context, { ...job, echoed: job.echoed ?? null }, reader, response);
  };
}
