import { toBatchObject } from "@quern/shared/openai/batch-object";
import { announceBatch, pauseBatch, readBatch } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { RequestHandler } from "express";
import { batchNotFound, findBatch } from "./find-batch.ts";
import type { RouteContext } from "./route.ts";

/**
 * `POST /v1/batches/{id}/pause` and `…/resume` → the batch. While it is paused no more of its lines are fed; the few that
 * are jobs already run on, and so does its window. One that is over, or being ended, stays as it is.
 */
export function pauseBatchRoute(
  { redis }: RouteContext,
  what: "pause" | "resume",
): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const { id } = await findBatch(redis, request, response);
    await pauseBatch(redis, id, what, await redisNowMs(redis));
    await announceBatch(redis, id);
    const record = await readBatch(redis, id);
    if (record === null) throw batchNotFound(id);
    response.json(toBatchObject(record));
  };
}
