import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Endpoint, JobClass, JobRequest, Metadata, NewJob } from "@quern/shared/contract/job";
import { ATTRIBUTES } from "@quern/shared/contract/telemetry-names";
import { traceparentOf } from "@quern/shared/process/trace-context";
import { indexDeadline } from "@quern/shared/redis/deadlines";
import { confirmJob, createJob } from "@quern/shared/redis/job-store";
import { enterLiveJob } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import { newJobId } from "./job-id.ts";
import type { JobQueues } from "./job-queues.ts";

/** Deadline, size and estimate are `admission/admit-times.ts`'s; absent: no deadline, and nothing is known. */
export interface Submission extends Pick<NewJob, "deadlineAtMs" | "size" | "estimate" | "webhook"> {
  tenant: string;
  endpoint: Endpoint;
  class: JobClass;
  /** The model's own name, which its queue has. */
  model: string;
  request: JobRequest;
  metadata: Metadata;
}

/**
 * Accepts a job. In this order, so that whatever breaks in between, no accepted job is lost and no refused one stays:
 *
 *   1. the record, with an expiry   2. its deadline, and its place among the live jobs   3. the reference in the queue
 *   4. the record without the expiry
 *
 * @throws QuernError `redis_unavailable`; the job may then run nevertheless: once it is a live job a scheduler sees to it.
 */
export async function submitJob(redis: Redis, queues: JobQueues, submission: Submission): Promise<NewJob> {
  const id = newJobId();
  const span = trace.getTracer("quern-gateway").startSpan(`send ${submission.class}`, {
    kind: SpanKind.PRODUCER,
    attributes: {
      [ATTRIBUTES.messagingSystem]: "bullmq",
      [ATTRIBUTES.messagingOperation]: "send",
      [ATTRIBUTES.messagingDestination]: submission.class,
      [ATTRIBUTES.messagingMessageId]: id,
      [ATTRIBUTES.genAiRequestModel]: submission.model,
    },
  });
  try {
    const job: NewJob = { id, ...submission, traceparent: traceparentOf(span), createdAtMs: Date.now() };
    await createJob(redis, job);
    await Promise.all([indexDeadline(redis, job), enterLiveJob(redis, job)]);
    await queues.add(job);
    await confirmJob(redis, job);
    return job;
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
