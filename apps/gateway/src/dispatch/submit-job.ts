import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { QuernError } from "@quern/shared/contract/errors";
import type { NewJob } from "@quern/shared/contract/job";
import { ATTRIBUTES } from "@quern/shared/contract/telemetry-names";
import { traceparentOf } from "@quern/shared/process/trace-context";
import { indexDeadline } from "@quern/shared/redis/deadlines";
import { confirmJob, createJob, readJob } from "@quern/shared/redis/job-store";
import { enterLiveJob } from "@quern/shared/redis/live-jobs";
import { hadNoEffect } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";
import type { JobQueues } from "./job-queues.ts";
import { withdrawJob } from "./withdraw-job.ts";

/** What is known of a job that was submitted, now or before: its webhook's secret is in nobody's hands any more. */
export type SubmittedJob = Omit<NewJob, "webhook"> & { webhook?: object | null };

/** Deadline, size and estimate are `admission/admit-times.ts`'s; absent: no deadline, and nothing is known. */
export interface Submission extends Omit<NewJob, "id" | "traceparent" | "createdAtMs"> {
  /** The model's own name, which its queue has. */
  model: string;
}

export interface BrokenSubmit {
  /**
   * What becomes of a job that may have been written, though its submit failed: `withdraw`: nothing of it stays. `keep`: its
   * caller asks again under its Idempotency-Key, and gets this job.
   */
  whenUnclear: "withdraw" | "keep";
  /** Aborts when the gateway ends. */
  closing: AbortSignal;
}

/**
 * Accepts a job. In this order, so that whatever breaks in between, no accepted job is lost and no refused one stays:
 *
 *   1. the record, with an expiry   2. its deadline, and its place among the live jobs   3. the reference in the queue
 *   4. the record without the expiry
 *
 * Done again under the same `id`, it goes on where it broke off: the first record stands.
 * @throws QuernError `redis_unavailable`; the job is withdrawn by then, or as soon as Redis is back (`whenUnclear`).
 * `job_not_found` when the job of this id was erased meanwhile.
 */
export async function submitJob(
  redis: Redis,
  queues: JobQueues,
  id: string,
  submission: Submission,
  broken: BrokenSubmit,
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
    return await write(redis, queues, drafted, broken);
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

async function write(
  redis: Redis,
  queues: JobQueues,
  drafted: NewJob & Submission,
  { whenUnclear, closing }: BrokenSubmit,
): Promise<SubmittedJob> {
  let mayExist = true;
  try {
    const { created } = await createJob(redis, drafted).catch((error: unknown) => {
      mayExist = !hadNoEffect(error);
      throw error;
    });
    const job = created ? drafted : await readJob(redis, drafted.id);
    if (job === null) {
      mayExist = false;
      throw new QuernError("job_not_found", `the job ${drafted.id} was erased while it was submitted`);
    }
    await Promise.all([indexDeadline(redis, job), enterLiveJob(redis, job)]);
    await queues.add(job);
    await confirmJob(redis, job);
    return job;
  } catch (error) {
    if (mayExist && whenUnclear === "withdraw") await withdrawJob(redis, queues, drafted, closing);
    throw error;
  }
}
