import { toBatchObject } from "@quern/shared/openai/batch-object";
import { batchListQuerySchema } from "@quern/shared/openai/batch-requests";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { listBatches } from "@quern/shared/redis/batch-store";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/batches?limit&after`: a page, newest first. */
export function listBatchesRoute({ redis }: RouteContext): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { limit, after = null } = parseOrRefuse(batchListQuerySchema, request.query);
    const { records, hasMore } = await listBatches(redis, { tenant, limit, after });
    response.json({
      object: "list",
      data: records.map(toBatchObject),
      first_id: records.at(0)?.id ?? null,
      last_id: records.at(-1)?.id ?? null,
      has_more: hasMore,
    });
  };
}
