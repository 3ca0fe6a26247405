import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { toJobObject } from "@quern/shared/openai/job-object";
import { jobListQuerySchema } from "@quern/shared/openai/job-requests";
import { listJobs } from "@quern/shared/redis/job-list";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { outlooksOf } from "../estimate/job-outlook.ts";
import type { RouteContext } from "./route.ts";

/**
 * `GET /v1/jobs?limit&order&after&status&model`: a page, newest first. `last_id` is where the next page begins; it is not among
 * `data` when the page ended because it had looked at many jobs that the filter leaves out.
 */
export function listJobsRoute(context: RouteContext): RequestHandler {
  const { redis } = context;
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const { limit, order, after = null, status, model } = parseOrRefuse(jobListQuerySchema, request.query);
    const { records, hasMore, lastId } = await listJobs(redis, {
      tenant,
      limit,
      order,
      after,
      matches: (record) =>
        (status === undefined || record.state === status) && (model === undefined || record.model === model),
    });
    const outlooks = await outlooksOf(context, records);
    const data = records.map((record, at) => {
      const outlook = outlooks[at] ?? null;
      return toJobObject(record, outlook?.queuePosition ?? null, outlook);
    });
    response.json({
      object: "list",
      data,
      first_id: data.at(0)?.id ?? null,
      last_id: lastId,
      has_more: hasMore,
    });
  };
}
