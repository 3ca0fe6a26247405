import { QuernError } from "@quern/shared/contract/errors";
import type { Request, RequestHandler, Response } from "express";
import { replyWithError } from "./error-reply.ts";

export interface BodyTimes {
  /** From a request's headers to the end of its body. */
  limitMs: number;
  /** Its body may take longer, until it is answered; its route sees to callers that fall silent. */
  isLong(request: Request): boolean;
}

/**
 * Closes the connection of a caller that sends its body slowly or not at all, whether or not its route reads it. Node's own limit,
 * `requestTimeout`, is one for all requests, and has to be long enough for the largest file.
 */
export function bodyTimeLimit({ limitMs, isLong }: BodyTimes): RequestHandler {
  return (request, response, next) => {
    if (hasBody(request)) {
      if (isLong(request)) response.once("finish", () => limit(request, response, limitMs));
      else limit(request, response, limitMs);
    }
    next();
  };
}

function hasBody({ headers }: Request): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function limit(request: Request, response: Response, limitMs: number): void {
  if (request.complete) return;
  const timer = setTimeout(() => {
    if (request.complete) return;
    if (response.headersSent) request.destroy();
    else replyAndClose(response, limitMs);
  }, limitMs);
  request.once("close", () => clearTimeout(timer));
}

function replyAndClose(response: Response, limitMs: number): void {
  // Node then closes the connection when the reply is written.
  response.setHeader("connection", "close");
  replyWithError(
    response,
    new QuernError("request_timeout", `the body did not arrive within ${limitMs / 1_000} s of its headers`),
  );
}
