import { QuernError } from "@quern/shared/contract/errors";
import type { RequestHandler } from "express";

/** Whatever no route took. */
export const notFoundRoute: RequestHandler = (request) => {
  throw new QuernError(
    "route_not_found",
    `there is no ${request.method} ${request.path}; GET /openapi.json describes every route`,
  );
};
