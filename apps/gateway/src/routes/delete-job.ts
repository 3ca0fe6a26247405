import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { eraseJob } from "../dispatch/erase-job.ts";
import { findJob } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

/** `DELETE /v1/jobs/{id}`: nothing of the job is left, neither its text nor its id in any list. One that runs is stopped. */
export function deleteJobRoute({ redis, queues }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const job = await findJob(redis, authenticate(request), request.params.id);
    response.locals.jobId = job.id;
    await eraseJob(redis, queues, job);
    response.json({ id: job.id, object: "job", deleted: true });
  };
}
