import { QuernError } from "@quern/shared/contract/errors";
import type { JobRecord } from "@quern/shared/contract/job";
import { readJob } from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import type { Caller } from "../auth/authenticate.ts";
import { isJobId } from "../dispatch/job-id.ts";

/** @throws QuernError `job_not_found`, also for a job of another tenant: that it exists is not theirs to know. */
export async function findJob(redis: Redis, { tenant }: Caller, id: string): Promise<JobRecord> {
  const record = isJobId(id) ? await readJob(redis, id) : null;
  if (record === null || record.tenant !== tenant) throw jobNotFound(id);
  return record;
}

export function jobNotFound(id: string): QuernError {
  return new QuernError(
    "job_not_found",
    `there is no job '${id}', or no longer: ended jobs are kept for a while only`,
  );
}
