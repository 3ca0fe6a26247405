import type { JobRecord } from "@quern/shared/contract/job";
import { toJobObject } from "@quern/shared/openai/job-object";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { cancelJob } from "../dispatch/cancel-job.ts";
import { waitForEnd } from "../follow/wait-for-end.ts";
import { findJob, jobNotFound } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

/** A worker stops within a step; on a large model or in a long prompt that may take this long. */
const STOP_WAIT_MS = 1_000;

/**
 * `POST /v1/jobs/{id}/cancel` → the job, `cancelled` as a rule. It may still say `running` when its worker is slow to
 * stop, and a job that has ended already stays as it is.
 */
export function cancelJobRoute(context: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const job = await findJob(context.redis, authenticate(request), request.params.id);
    response.locals.jobId = job.id;
    const record = await cancelAndWait(context, job);
    if (record === null) throw jobNotFound(job.id);
    response.json(toJobObject(record, null));
  };
}

/** The job as it stands once it has stopped, or has had its time to. null: somebody has erased it meanwhile. */
export async function cancelAndWait(
  { redis, queues, hub, retention }: RouteContext,
  job: JobRecord,
): Promise<JobRecord | null> {
  await cancelJob(redis, queues, job, retention.jobSeconds[job.class]);
  return waitForEnd(hub, redis, job.id, AbortSignal.timeout(STOP_WAIT_MS));
}
