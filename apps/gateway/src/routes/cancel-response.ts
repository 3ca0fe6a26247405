import { toResponse } from "@quern/shared/openai/responses-response";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { cancelAndWait } from "./cancel-job.ts";
import { findResponse, responseNotFound } from "./find-response.ts";
import type { RouteContext } from "./route.ts";

/**
 * `POST /v1/responses/{id}/cancel` → the response, `cancelled` as a rule, with what it has said. It may still say `in_progress`
 * when its worker is slow to stop, and one that has ended stays as it is.
 */
export function cancelResponseRoute(context: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const { id } = request.params;
    const job = await findResponse(context.redis, authenticate(request), id);
    response.locals.jobId = job.id;
    const record = await cancelAndWait(context, job);
    if (record === null) throw responseNotFound(id);
    response.json(toResponse(record));
  };
}
