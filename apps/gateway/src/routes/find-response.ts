import { QuernError } from "@quern/shared/contract/errors";
import type { JobRecord } from "@quern/shared/contract/job";
import { jobIdOfResponse } from "@quern/shared/openai/response-id";
import { readJob } from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import type { Caller } from "../auth/authenticate.ts";
import { isJobId } from "../dispatch/job-id.ts";

/**
 * The job of a response.
 * @param param the field that names it, where it is one of the body.
 * @throws QuernError `response_not_found`, also for one of another tenant, and for a job of another endpoint.
 */
export async function findResponse(
  redis: Redis,
  { tenant }: Caller,
  id: string,
  param?: string,
): Promise<JobRecord> {
  const jobId = jobIdOfResponse(id);
  const record = jobId !== null && isJobId(jobId) ? await readJob(redis, jobId) : null;
  if (record === null || record.tenant !== tenant || record.endpoint !== "/v1/responses") {
    throw responseNotFound(id, param);
  }
  return record;
}

export function responseNotFound(id: string, param?: string): QuernError {
  return new QuernError(
    "response_not_found",
    `there is no response '${id}', or no longer: those that have ended are kept for a while only`,
    param === undefined ? {} : { param },
  );
}
