import { toBatchObject } from "@quern/shared/openai/batch-object";
import { announceBatch, moveBatch, readBatch } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { RequestHandler } from "express";
import { batchNotFound, findBatch } from "./find-batch.ts";
import type { RouteContext } from "./route.ts";

/**
 * `POST /v1/batches/{id}/cancel` → the batch, `cancelling` as a rule: none of its lines are begun any more, those that
 * run are stopped, and what was answered until then stands in its files. One that is over, or just being finished, stays as it is.
 */
export function cancelBatchRoute({ redis }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const { id } = await findBatch(redis, request, response);
    await moveBatch(redis, id, "cancel", null, await redisNowMs(redis));
    await announceBatch(redis, id);
    const record = await readBatch(redis, id);
    if (record === null) throw batchNotFound(id);
    response.json(toBatchObject(record));
  };
}
