import { toFileObject } from "@quern/shared/openai/file-object";
import { fileListQuerySchema } from "@quern/shared/openai/file-requests";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { listFileRecords } from "@quern/shared/redis/file-records";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/files?purpose&limit&order&after`: a page, newest first. */
export function listFilesRoute({ redis }: RouteContext): RequestHandler {
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { purpose, limit, order, after = null } = parseOrRefuse(fileListQuerySchema, request.query);
    const { records, hasMore } = await listFileRecords(redis, {
      tenant,
      limit,
      order,
      after,
      matches: (record) => purpose === undefined || record.purpose === purpose,
    });
    const data = records.map(toFileObject);
    response.json({
      object: "list",
      data,
      first_id: data.at(0)?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: hasMore,
    });
  };
}
