import { isTerminal } from "@quern/shared/contract/lifecycle";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { toJobObject } from "@quern/shared/openai/job-object";
import { jobQuerySchema, MAX_WAIT_SECONDS } from "@quern/shared/openai/job-requests";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { outlookOf } from "../estimate/job-outlook.ts";
import { waitForEnd } from "../follow/wait-for-end.ts";
import { clientGone } from "../http/client-gone.ts";
import { findJob, jobNotFound } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/jobs/{id}`; with `?wait=<seconds>` it answers when the job has ended, or as it is when the time is up. */
export function getJobRoute(context: RouteContext): RequestHandler<{ id: string }> {
  const { redis, hub, closing } = context;
  return async (request, response) => {
    const caller = authenticate(request);
    const { wait } = parseOrRefuse(jobQuerySchema, request.query);
    let record = await findJob(redis, caller, request.params.id);
    response.locals.jobId = record.id;
    if (wait > 0 && !isTerminal(record.state)) {
      const timeUp = AbortSignal.timeout(Math.min(wait, MAX_WAIT_SECONDS) * 1_000);
      const ended = await waitForEnd(
        hub,
        redis,
        record.id,
        AbortSignal.any([timeUp, closing, clientGone(response)]),
      );
      if (ended === null) throw jobNotFound(record.id);
      record = ended;
    }
    const outlook = await outlookOf(context, record);
    response.json(toJobObject(record, outlook.queuePosition, outlook));
  };
}
