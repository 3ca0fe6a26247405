import { toJobObject } from "@quern/shared/openai/job-object";
import { readJob } from "@quern/shared/redis/job-store";
import type { Response } from "express";
import { outlookOf } from "../estimate/job-outlook.ts";
import type { AcceptedJob } from "./accept-job.ts";
import { jobNotFound } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

export const REPLAYED_HEADER = "idempotent-replayed";

/** 202 with the job as it stands. @throws QuernError `job_not_found` when somebody has erased it already. */
export async function replyWithJob(
  context: RouteContext,
  accepted: AcceptedJob,
  response: Response,
): Promise<void> {
  const { id } = nameJob(accepted, response);
  const record = await readJob(context.redis, id);
  if (record === null) throw jobNotFound(id);
  const outlook = await outlookOf(context, record);
  response
    .status(202)
    .location(`/v1/jobs/${id}`)
    .json(toJobObject(record, outlook.queuePosition, outlook));
}

/** Says in the reply's headers, and for the log, which job it is about. */
export function nameJob({ job, replayed }: AcceptedJob, response: Response): AcceptedJob["job"] {
  response.locals.jobId = job.id;
  response.setHeader("x-quern-job-id", job.id);
  if (replayed) response.setHeader(REPLAYED_HEADER, "true");
  return job;
}
