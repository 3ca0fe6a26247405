import { isTerminal } from "@quern/shared/contract/lifecycle";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { responseQuerySchema } from "@quern/shared/openai/responses-query";
import { toResponse } from "@quern/shared/openai/responses-response";
import { readEventsPage } from "@quern/shared/redis/event-stream";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { eventsExpired } from "../follow/follow-events.ts";
import { clientGone } from "../http/client-gone.ts";
import { findResponse } from "./find-response.ts";
import type { RouteContext } from "./route.ts";
import { streamResponse } from "./stream-response.ts";

/**
 * `GET /v1/responses/{id}`: the response as it stands; with `?stream=true` its events, from the beginning or after the number
 * `starting_after`, and 410 when they are no longer kept.
 */
export function getResponseRoute(
  context: Pick<RouteContext, "redis" | "hub" | "draining">,
): RequestHandler<{ id: string }> {
  const { redis, draining } = context;
  return async (request, response) => {
    const caller = authenticate(request);
    const { stream, starting_after: seen } = parseOrRefuse(responseQuerySchema, request.query);
    const job = await findResponse(redis, caller, request.params.id);
    response.locals.jobId = job.id;
    if (stream === "false") {
      response.json(toResponse(job));
      return;
    }
    if (isTerminal(job.state) && (await readEventsPage(redis, job.id, null, 1)).length === 0) {
      throw eventsExpired(job.id);
    }
    // Its reader comes back to another gateway, after the event that it saw last.
    const reader = { startingAfter: seen ?? null, gone: clientGone(response), leaving: draining };
    return streamResponse(context, job, reader, response);
  };
}
