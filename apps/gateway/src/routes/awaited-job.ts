import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { JobRecord } from "@quern/shared/contract/job";
import { deadlineWishOfHeader, TTL_HEADER } from "@quern/shared/openai/deadline";
import { type EndpointResponse, toEndpointResponse } from "@quern/shared/openai/endpoint-response";
import { inWordsOf } from "@quern/shared/openai/field-names";
import type { Request, Response } from "express";
import { cancelJob } from "../dispatch/cancel-job.ts";
import { cancelWhenLeft } from "../dispatch/cancel-when-left.ts";
import type { SubmittedJob } from "../dispatch/submit-job.ts";
import { waitForEnd } from "../follow/wait-for-end.ts";
import { clientGone } from "../http/client-gone.ts";
import { IDEMPOTENCY_HEADER } from "../idempotency/keyed-request.ts";
import { type AskedJob, acceptJob } from "./accept-job.ts";
import { jobNotFound } from "./find-job.ts";
import { nameJob } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";

/** A job whose caller waits for it. */
export interface AwaitedJob {
  job: SubmittedJob;
  /** Aborts when the caller hangs up. */
  gone: AbortSignal;
}

/**
 * Accepts a request as a job like any other; the header `x-quern-job-id` of the response names it. A caller that hangs up
 * cancels it, unless `whenLeft` says otherwise, or an Idempotency-Key that the caller will ask again.
 * @throws QuernError as `acceptJob` does.
 */
export async function submitAwaited(
  context: RouteContext,
  request: Request,
  response: Response,
  {
    whenLeft,
    ...asked
  }: Omit<AskedJob, "metadata" | "deadline"> &
    Partial<Pick<AskedJob, "metadata">> & {
      whenLeft: "cancel" | "run_on";
    },
): Promise<AwaitedJob> {
  const { redis, queues, retention, closing } = context;
  const gone = clientGone(response);
  const deadline = deadlineWishOfHeader(request.header(TTL_HEADER));
  const accepted = await acceptJob(context, request, { metadata: {}, ...asked, deadline }, "refuse");
  const job = nameJob(accepted, response);
  const comesBack = request.header(IDEMPOTENCY_HEADER) !== undefined;
  if (whenLeft === "cancel" && !comesBack) {
    cancelWhenLeft(gone, closing, () => cancelJob(redis, queues, job, retention.jobSeconds[job.class]));
  }
  return { job, gone };
}

/** Answers as the job's endpoint does, once it has ended. @throws QuernError what the job failed of. */
export async function replyWhole(
  { redis, hub, closing }: RouteContext,
  { job, gone }: AwaitedJob,
  response: Response,
): Promise<void> {
  const record = await waitForEnd(hub, redis, job.id, AbortSignal.any([gone, closing]));
  if (gone.aborted) return;
  response.json(answerOf(record, job.id));
}

function answerOf(record: JobRecord | null, jobId: string): EndpointResponse {
  if (record === null) throw jobNotFound(jobId);
  const { state, error } = record;
  const answer = state === "completed" ? toEndpointResponse(record) : null;
  if (answer !== null) return answer;
  if (error !== null) {
    const { message, param } = inWordsOf(record.endpoint, error);
    throw new QuernError(error.code as ErrorCode, message, param === null ? {} : { param });
  }
  if (state === "cancelled") throw jobCancelled();
  if (state === "expired") throw deadlineExceeded(jobId);
  throw new QuernError(
    "draining",
    `this gateway is going away while the job runs on; its answer will be at /v1/jobs/${jobId}`,
  );
}

export function jobCancelled(): QuernError {
  return new QuernError("job_cancelled", "the job was cancelled before it ended");
}

export function deadlineExceeded(jobId: string): QuernError {
  return new QuernError(
    "deadline_exceeded",
    `the job's deadline passed before it ended; what it wrote until then is at /v1/jobs/${jobId}`,
  );
}
