import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { BatchRecord, NewBatch } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { QuernError } from "@quern/shared/contract/errors";
import { BATCH_QUEUE_NAME } from "@quern/shared/contract/names";
import { ATTRIBUTES } from "@quern/shared/contract/telemetry-names";
import { traceparentOf } from "@quern/shared/process/trace-context";
import { createBatch, readBatch } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { Redis } from "ioredis";
import type { JobQueues } from "./job-queues.ts";

export interface BatchSubmission
  extends Omit<NewBatch, "id" | "traceparent" | "createdAtMs" | "expiresAtMs"> {
  /** How long it may take. */
  windowSeconds: number;
}

/**
 * Accepts a batch: the record first, then its place in the queue, into which a scheduler puts it should we break off in
 * between. Done again under the same `id`, it goes on where it broke off: the first record stands.
 * @throws QuernError `redis_unavailable`; the batch may then run nevertheless.
 */
export async function submitBatch(
  redis: Redis,
  queues: JobQueues,
  id: string,
  { windowSeconds, ...submission }: BatchSubmission,
): Promise<BatchRecord> {
  const span = trace.getTracer("quern-gateway").startSpan(`send ${BATCH_QUEUE_NAME}`, {
    kind: SpanKind.PRODUCER,
    attributes: {
      [ATTRIBUTES.messagingSystem]: "bullmq",
      [ATTRIBUTES.messagingOperation]: "send",
      [ATTRIBUTES.messagingDestination]: BATCH_QUEUE_NAME,
      [ATTRIBUTES.messagingMessageId]: id,
    },
  });
  try {
    const createdAtMs = await redisNowMs(redis);
    const expiresAtMs = createdAtMs + windowSeconds * 1_000;
    await createBatch(redis, {
      id,
      ...submission,
      traceparent: traceparentOf(span),
      createdAtMs,
      expiresAtMs,
    });
    const record = await readBatch(redis, id);
    if (record === null) throw new QuernError("batch_not_found", `the batch ${id} is no longer kept`);
    if (!isBatchOver(record.status)) await queues.addBatch(id);
    return record;
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
