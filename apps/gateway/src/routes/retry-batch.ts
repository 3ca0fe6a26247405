import type { RequestHandler } from "express";
import { refuseUnlessRetryable, writeRetryInput } from "../batches/retry-input.ts";
import { inputFileIdOf } from "../dispatch/batch-id.ts";
import { clientGone } from "../http/client-gone.ts";
import { acceptBatch } from "./accept-batch.ts";
import { findBatch } from "./find-batch.ts";
import type { RouteContext } from "./route.ts";

/**
 * `POST /v1/batches/{id}/retry-failed` → a new batch of the lines that failed, were cancelled or expired in this one, under the
 * same custom ids. `retried_from` names the old one, which stays as it is; its webhook is not taken over.
 */
export function retryBatchRoute(context: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const parent = await findBatch(context.redis, request, response);
    refuseUnlessRetryable(parent);
    const gone = clientGone(response);
    await acceptBatch(context, request, response, parent.tenant, async (id) => {
      const inputFileId = inputFileIdOf(id);
      await writeRetryInput(context, parent, inputFileId, gone);
      const { tenant, endpoint, metadata, outputExpiresAfterSeconds, dedupe } = parent;
      return {
        tenant,
        endpoint,
        inputFileId,
        windowSeconds: (parent.expiresAtMs - parent.createdAtMs) / 1_000,
        metadata,
        outputExpiresAfterSeconds,
        dedupe,
        retriedFrom: parent.id,
        webhook: null,
      };
    });
  };
}
