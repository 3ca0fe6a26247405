import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { eraseJob } from "../dispatch/erase-job.ts";
import { findResponse } from "./find-response.ts";
import type { RouteContext } from "./route.ts";

/** `DELETE /v1/responses/{id}`: nothing is left of it, nor of its job. One that is in progress is stopped. */
export function deleteResponseRoute({ redis, queues }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const { id } = request.params;
    const job = await findResponse(redis, authenticate(request), id);
    response.locals.jobId = job.id;
    await eraseJob(redis, queues, job);
    response.json({ id, object: "response", deleted: true });
  };
}
