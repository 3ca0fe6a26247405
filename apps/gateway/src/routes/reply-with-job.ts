import type { JobRecord, NewJob } from "@quern/shared/contract/job";
import { toJobObject } from "@quern/shared/openai/job-object";
import { acceptedRecord } from "@quern/shared/redis/job-fields";
import { readJob } from "@quern/shared/redis/job-store";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Response } from "express";
import type { Redis } from "ioredis";
import { NO_OUTLOOK, outlookOf } from "../estimate/job-outlook.ts";
import type { AcceptedJob } from "./accept-job.ts";
import { jobNotFound } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

export const REPLAYED_HEADER = "idempotent-replayed";

/**
 * Replies 202 with the job as it stands, or as it was accepted when Redis is away by now.
 * @throws QuernError `job_not_found` when somebody has erased it already.
 */
export async function replyWithJob(
  context: RouteContext,
  accepted: AcceptedJob,
  response: Response,
): Promise<void> {
  const { id } = nameJob(accepted, response);
  const record = await recordOf(context.redis, accepted);
  const outlook = await outlookOf(context, record).catch((error: unknown) => {
    if (isRedisAway(error)) return NO_OUTLOOK;
    throw error;
  });
  response
    .status(202)
    .location(`/v1/jobs/${id}`)
    .json(toJobObject(record, outlook.queuePosition, outlook));
}

/**
 * The job's record as it stands, or as it was accepted when Redis is away by now.
 * @throws QuernError `job_not_found` when somebody has erased it already.
 */
export async function recordOf(redis: Redis, { job }: AcceptedJob): Promise<JobRecord> {
  const record = await readJob(redis, job.id).catch((error: unknown) => {
    if (!isRedisAway(error)) throw error;
    return "state" in job ? (job as JobRecord) : acceptedRecord(job as NewJob);
  });
  if (record === null) throw jobNotFound(job.id);
  return record;
}

/** Says in the reply's headers, and for the log, which job it is about. */
export function nameJob({ job, replayed }: AcceptedJob, response: Response): AcceptedJob["job"] {
  response.locals.jobId = job.id;
  response.setHeader("x-quern-job-id", job.id);
  if (replayed) response.setHeader(REPLAYED_HEADER, "true");
  return job;
}
