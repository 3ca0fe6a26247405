import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { Endpoint, JobClass, JobRecord, JobRequest, NewJob } from "@quern/shared/contract/job";
import { deadlineWishOfHeader, TTL_HEADER } from "@quern/shared/openai/deadline";
import { type EndpointResponse, toEndpointResponse } from "@quern/shared/openai/endpoint-response";
import type { Response } from "express";
import { admit } from "../admission/admit.ts";
import { admitTimes } from "../admission/admit-times.ts";
import { isServed } from "../admission/known-models.ts";
import { cancelJob } from "../dispatch/cancel-job.ts";
import { submitJob } from "../dispatch/submit-job.ts";
import { waitForEnd } from "../follow/wait-for-end.ts";
import { clientGone } from "../http/client-gone.ts";
import { jobNotFound } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

const MODEL_RETRY_AFTER_SECONDS = 5;

/** A job whose caller waits for it. */
export interface AwaitedJob {
  job: NewJob;
  /** Aborts when the caller hangs up, which cancels the job. */
  gone: AbortSignal;
}

/**
 * Accepts a request as a job like any other; the header `x-quern-job-id` of the response names it.
 * @throws QuernError `model_unavailable` when nobody could answer it soon, and as `admit` and `admitTimes` do.
 */
export async function submitAwaited(
  context: RouteContext,
  response: Response,
  asked: { tenant: string; endpoint: Endpoint; class: JobClass; model: string; request: JobRequest },
): Promise<AwaitedJob> {
  const { redis, queues, arrivals, retentionSeconds } = context;
  const deadline = deadlineWishOfHeader(response.req.header(TTL_HEADER));
  const known = await admit(context, asked.model, asked.request);
  const { model } = known.description;
  if (!isServed(known)) throw notServed(model);
  const gone = clientGone(response);
  const { request } = asked;
  using arrival = arrivals.begin(model, asked.class);
  const times = await admitTimes(redis, known, arrival, { class: asked.class, request, deadline });
  const job = await submitJob(redis, queues, { ...asked, model, metadata: {}, ...times });
  response.locals.jobId = job.id;
  response.setHeader("x-quern-job-id", job.id);
  const cancel = () => void cancelJob(redis, queues, job, retentionSeconds).catch(() => {});
  if (gone.aborted) cancel();
  else gone.addEventListener("abort", cancel, { once: true });
  return { job, gone };
}

/** Answers as the job's endpoint does, once it has ended. @throws QuernError what the job failed of. */
export async function replyWhole(
  { redis, hub, draining }: RouteContext,
  { job, gone }: AwaitedJob,
  response: Response,
): Promise<void> {
  const record = await waitForEnd(hub, redis, job.id, AbortSignal.any([gone, draining]));
  if (gone.aborted) return;
  response.json(answerOf(record, job.id));
}

function answerOf(record: JobRecord | null, jobId: string): EndpointResponse {
  if (record === null) throw jobNotFound(jobId);
  const { state, error } = record;
  const answer = state === "completed" ? toEndpointResponse(record) : null;
  if (answer !== null) return answer;
  if (error !== null) {
    const param = error.param === null ? {} : { param: error.param };
    throw new QuernError(error.code as ErrorCode, error.message, param);
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

function notServed(model: string): QuernError {
  return new QuernError(
    "model_unavailable",
    `no worker serves ${model} just now; try again soon, or queue the request with POST /v1/jobs`,
    { retryAfterSeconds: MODEL_RETRY_AFTER_SECONDS },
  );
}
