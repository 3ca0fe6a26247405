import { QuernError } from "@quern/shared/contract/errors";
import type { Endpoint, JobClass, JobRecord, JobRequest, Metadata } from "@quern/shared/contract/job";
import type { WebhookTarget } from "@quern/shared/contract/webhook";
import type { DeadlineWish } from "@quern/shared/openai/deadline";
import { inWordsOf } from "@quern/shared/openai/field-names";
import { retentionOf } from "@quern/shared/process/retention";
import { readJob } from "@quern/shared/redis/job-store";
import type { Request, Response } from "express";
import { admit } from "../admission/admit.ts";
import { admitTimes } from "../admission/admit-times.ts";
import { isServed } from "../admission/known-models.ts";
import { refuseWhileClosed } from "../admission/refuse-while-closed.ts";
import { newJobId } from "../dispatch/job-id.ts";
import { type SubmittedJob, submitJob } from "../dispatch/submit-job.ts";
import { clientGone } from "../http/client-gone.ts";
import { acceptOnce } from "../idempotency/accept-once.ts";
import { IDEMPOTENCY_HEADER, keyedRequestOf } from "../idempotency/keyed-request.ts";
import type { RouteContext } from "./route.ts";

const MODEL_RETRY_AFTER_SECONDS = 5;

/** What a valid request asks for. */
export interface AskedJob {
  tenant: string;
  endpoint: Endpoint;
  class: JobClass;
  /** By any of its names. */
  model: string;
  request: JobRequest;
  metadata: Metadata;
  /** What the answer repeats of the body. */
  echoed?: JobRecord["echoed"];
  deadline: DeadlineWish;
  webhook?: WebhookTarget | null;
  /** The job that it repeats. */
  retriedFrom?: string;
}

export interface AcceptedJob {
  job: SubmittedJob;
  /** An earlier request of the same Idempotency-Key made it. */
  replayed: boolean;
}

/**
 * Admits a request and submits it as a job, once under its Idempotency-Key.
 * @param whileUnserved `queue`: it may wait for a worker of its model to come; `refuse`: somebody waits for the answer.
 * @throws QuernError `model_unavailable`, and as `refuseWhileClosed`, `admit`, `admitTimes`, `submitTurns` and `acceptOnce` do.
 */
export async function acceptJob(
  context: RouteContext,
  request: Request<{ id: string }> | Request,
  { deadline, ...asked }: AskedJob,
  whileUnserved: "queue" | "refuse",
): Promise<AcceptedJob> {
  const { redis, queues, arrivals, retention, submitTurns, closing } = context;
  const gone = clientGone(request.res as Response);
  await refuseWhileClosed(context);
  const keyed = keyedRequestOf(request.header(IDEMPOTENCY_HEADER), {
    tenant: asked.tenant,
    method: request.method,
    path: request.path,
    body: request.body,
  });
  const kept = {
    keptSeconds: context.idempotencySeconds,
    retentionSeconds: retention.jobSeconds[asked.class],
  };
  const accept = async (jobId: string): Promise<SubmittedJob> => {
    const known = await admitInWordsOf(asked.endpoint, () => admit(context, asked.model, asked.request));
    const { model } = known.description;
    if (whileUnserved === "refuse" && !isServed(known)) throw notServed(model);
    return await submitTurns.take(asked.class, gone, async () => {
      using arrival = arrivals.begin(model, asked.class);
      const times = await admitTimes(redis, known, arrival, { ...asked, deadline });
      const submission = {
        ...asked,
        model,
        ...times,
        ...retentionOf(retention, asked.class),
        idempotencyKeyHash: keyed?.keyHash ?? null,
      };
      const whenUnclear = keyed === null ? "withdraw" : "keep";
      return await submitJob(redis, queues, jobId, submission, { whenUnclear, closing });
    });
  };
  const read = (jobId: string) => readJob(redis, jobId);
  const { thing: job, replayed } = await acceptOnce(redis, keyed, kept, { newId: newJobId, accept, read });
  return { job, replayed };
}

/** Admission knows no endpoint: what it refuses is told by the names that the caller used. */
async function admitInWordsOf<Admitted>(
  endpoint: Endpoint,
  admitted: () => Promise<Admitted>,
): Promise<Admitted> {
  try {
    return await admitted();
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    const { message, param } = inWordsOf(endpoint, error);
    const { code, retryAfterSeconds } = error;
    throw new QuernError(code, message, {
      cause: error,
      ...(param === null ? {} : { param }),
      ...(retryAfterSeconds === null ? {} : { retryAfterSeconds }),
    });
  }
}

function notServed(model: string): QuernError {
  return new QuernError(
    "model_unavailable",
    `no worker serves ${model} just now; try again soon, or queue the request with POST /v1/jobs`,
    { retryAfterSeconds: MODEL_RETRY_AFTER_SECONDS },
  );
}
