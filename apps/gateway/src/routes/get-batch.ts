import { toBatchObject } from "@quern/shared/openai/batch-object";
import type { RequestHandler } from "express";
import { findBatch } from "./find-batch.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/batches/{id}` */
export function getBatchRoute({ redis }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    response.json(toBatchObject(await findBatch(redis, request, response)));
  };
}
