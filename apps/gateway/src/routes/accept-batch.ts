import { toBatchObject } from "@quern/shared/openai/batch-object";
import { readBatch } from "@quern/shared/redis/batch-store";
import type { Request, Response } from "express";
import { refuseWhileClosed } from "../admission/refuse-while-closed.ts";
import { newBatchId } from "../dispatch/batch-id.ts";
import { type BatchSubmission, submitBatch } from "../dispatch/submit-batch.ts";
import { acceptOnce } from "../idempotency/accept-once.ts";
import { IDEMPOTENCY_HEADER, keyedRequestOf } from "../idempotency/keyed-request.ts";
import { REPLAYED_HEADER } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";

/** Batches that are over are kept longer, so that one whose acceptance broke off is found again, not made anew. */
const RESUMABLE_SECONDS = 3_600;

/**
 * Submits a batch, once under its Idempotency-Key, and replies with it.
 * @param prepare what it is made of, given its id; what it throws is the caller's fault, and nothing has been submitted then.
 * Called twice with one id it must come to the same.
 * @throws QuernError as `refuseWhileClosed`, `acceptOnce` and `submitBatch` do.
 */
export async function acceptBatch(
  context: RouteContext,
  request: Request<{ id: string }> | Request,
  response: Response,
  tenant: string,
  prepare: (id: string) => Promise<BatchSubmission>,
): Promise<void> {
  const { redis, queues, idempotencySeconds } = context;
  await refuseWhileClosed(context);
  const { method, path, body } = request;
  const keyed = keyedRequestOf(request.header(IDEMPOTENCY_HEADER), { tenant, method, path, body });
  const kept = { keptSeconds: idempotencySeconds, retentionSeconds: RESUMABLE_SECONDS };
  const { thing: record, replayed } = await acceptOnce(redis, keyed, kept, {
    newId: newBatchId,
    accept: async (id) => submitBatch(redis, queues, id, await prepare(id)),
    read: (id) => readBatch(redis, id),
  });
  response.locals.batchId = record.id;
  if (replayed) response.setHeader(REPLAYED_HEADER, "true");
  response.location(`/v1/batches/${record.id}`).json(toBatchObject(record));
}
