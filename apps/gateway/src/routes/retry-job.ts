import { QuernError } from "@quern/shared/contract/errors";
import type { JobRecord } from "@quern/shared/contract/job";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { acceptJob } from "./accept-job.ts";
import { findJob } from "./find-job.ts";
import { replyWithJob } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";

/**
 * `POST /v1/jobs/{id}/retry` → 202 with a new job that asks for the same (docs/decisions/0013-a-retry-is-a-new-job.md). It has no deadline:
 * the old one was a moment, which has passed or soon will.
 */
export function retryJobRoute(context: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const old = await findJob(context.redis, authenticate(request), request.params.id);
    refuseUnlessRetryable(old);
    const { id, tenant, endpoint, class: jobClass, model, request: asked, metadata, echoed } = old;
    const accepted = await acceptJob(
      context,
      request,
      {
        tenant,
        endpoint,
        class: jobClass,
        model,
        request: asked,
        metadata,
        echoed,
        deadline: null,
        retriedFrom: id,
      },
      "queue",
    );
    await replyWithJob(context, accepted, response);
  };
}

function refuseUnlessRetryable({ id, state }: JobRecord): void {
  if (isTerminal(state) && state !== "completed") return;
  const why =
    state === "completed"
      ? "has completed: submit it anew to run it again"
      : `is ${state}: wait for its end, or cancel it first`;
  throw new QuernError("job_not_retryable", `the job ${id} ${why}`);
}
