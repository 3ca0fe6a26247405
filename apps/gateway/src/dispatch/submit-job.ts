import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { QuernError } from "@quern/shared/contract/errors";
import type { NewJob } from "@quern/shared/contract/job";
import { ATTRIBUTES } from "@quern/shared/contract/telemetry-names";
import { traceparentOf } from "@quern/shared/process/trace-context";
import { indexDeadline } from "@quern/shared/redis/deadlines";
import { confirmJob, createJob, readJob } from "@quern/shared/redis/job-store";
import { enterLiveJob } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import type { JobQueues } from "./job-queues.ts";

/** What is known of a job that was submitted, now or before: its webhook's secret is in nobody's hands any more. */
export type SubmittedJob = Omit<NewJob, "webhook"> & { webhook?: object | null };

/** Deadline, size and estimate are `admission/admit-times.ts`'s; absent: no deadline, and nothing is known. */
export interface Submission extends Omit<NewJob, "id" | "traceparent" | "createdAtMs"> {
  /** The model's own name, which its queue has. */
  model: string;
}

/**
 * Accepts a job. In this order, so that whatever breaks in between, no accepted job is lost and no refused one stays:
 *
 *   1. the record, with an expiry   2. its deadline, and its place among the live jobs   3. the reference in the queue
 *   4. the record without the expiry
 *
 * Done again under the same `id`, it goes on where it broke off: the first record stands.
 * @throws QuernError `redis_unavailable`; the job may then run nevertheless: once it is a live job a scheduler sees to it.
 * `job_not_found` when the job of this id was erased meanwhile.
 */
export async function submitJob(
  redis: Redis,
  queues: JobQueues,
  id: string,
  submission: Submission,
): Promise<SubmittedJob> {
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
    const drafted = { id, ...submission, traceparent: traceparentOf(span), createdAtMs: Date.now() };
    const { created } = await createJob(redis, drafted);
    const job = created ? drafted : await readJob(redis, id);
    if (job === null)
      throw new QuernError("job_not_found", `the job ${id} was erased while it was submitted`);
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
