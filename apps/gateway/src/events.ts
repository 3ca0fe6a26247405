import type { Logger } from "@quern/shared/process/logger";
import type { Request, Response } from "express";
import { requestIdOf } from "./http/request-id.ts";

/** Everything a gateway tells about itself: one function per business event. Never a body, never a prompt. */
export interface GatewayEvents {
  listening(url: string): void;
  requestServed(request: Request, response: Response, tookMs: number): void;
  requestBroke(request: Request, error: unknown): void;
  /** Its caller is told what to see to; what the store said is told here. */
  fileStoreFailed(request: Request, error: unknown): void;
  redisError(error: Error): void;
  redisEvicts(fault: string): void;
  draining(): void;
  drained(): void;
}

/** Asked every few seconds by machines: lines about them would bury the others. */
const QUIET_ROUTES = new Set(["/healthz", "/readyz"]);

export function gatewayEvents(log: Logger): GatewayEvents {
  let redisQuietUntilMs = 0;
  return {
    listening: (url) => log.info({ url }, "gateway listens"),
    requestServed(request, response, tookMs) {
      const route = routeOf(request);
      const { statusCode: status } = response;
      if (QUIET_ROUTES.has(route) && status < 500) return;
      const line = {
        method: request.method,
        route,
        status,
        // The caller hung up before the reply was whole.
        ...(response.writableFinished ? {} : { cut_off: true }),
        ms: Math.round(tookMs),
        request_id: requestIdOf(response),
        ...(response.locals.fileId === undefined ? {} : { file: response.locals.fileId }),
        ...(response.locals.jobId === undefined ? {} : { job: response.locals.jobId }),
        ...(response.locals.batchId === undefined ? {} : { batch: response.locals.batchId }),
      };
      if (status >= 500) log.warn(line, "request");
      else log.info(line, "request");
    },
    requestBroke: (request, error) => log.error({ route: routeOf(request), err: error }, "request broke"),
    fileStoreFailed: (request, error) =>
      log.error({ route: routeOf(request), err: error }, "file store failed"),
    redisError: (error) => {
      if (performance.now() < redisQuietUntilMs) return;
      redisQuietUntilMs = performance.now() + 5_000;
      log.warn({ reason: error.message || String(error) }, "Redis does not answer; waiting for it");
    },
    redisEvicts: (fault) => log.error({ reason: fault }, "Redis may drop jobs; none are accepted"),
    draining: () => log.info("draining: no new requests"),
    drained: () => log.info("drained"),
  };
}

/** The pattern, not the path: what is counted and compared must not be one of a kind. */
function routeOf(request: Request): string {
  return typeof request.route?.path === "string" ? request.route.path : "unknown";
}
