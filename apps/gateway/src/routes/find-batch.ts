import type { BatchRecord } from "@quern/shared/contract/batch";
import { QuernError } from "@quern/shared/contract/errors";
import { readBatch } from "@quern/shared/redis/batch-store";
import type { Request, Response } from "express";
import type { Redis } from "ioredis";
import { authenticate } from "../auth/authenticate.ts";
import { isBatchId } from "../dispatch/batch-id.ts";

/**
 * The batch that a request names, and for the log, which one that is.
 * @throws QuernError `batch_not_found`, also for a batch of another tenant: that it exists is not theirs to know.
 */
export async function findBatch(
  redis: Redis,
  request: Request<{ id: string }>,
  response: Response,
): Promise<BatchRecord> {
  const { tenant } = authenticate(request);
  const { id } = request.params;
  const record = isBatchId(id) ? await readBatch(redis, id) : null;
  if (record === null || record.tenant !== tenant) throw batchNotFound(id);
  response.locals.batchId = id;
  return record;
}

export function batchNotFound(id: string): QuernError {
  return new QuernError(
    "batch_not_found",
    `there is no batch '${id}', or no longer: batches that are over are kept for a while only`,
  );
}
