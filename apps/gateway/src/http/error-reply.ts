import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import { httpStatusOf, toErrorBody } from "@quern/shared/openai/error-body";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import { writeRefusalOf } from "@quern/shared/redis/write-refusal";
import type { ErrorRequestHandler, Response } from "express";
import type { GatewayEvents } from "../events.ts";
import { fromBodyParserError } from "./json-body.ts";

const DEFAULT_RETRY_AFTER_SECONDS = 1;

const FILE_STORE_CODES: ReadonlySet<ErrorCode> = new Set([
  "file_store_full",
  "file_store_unavailable",
  "file_missing",
]);

/** The last stop of everything that went wrong before a reply began. */
export function errorReply(events: GatewayEvents): ErrorRequestHandler {
  return (thrown, request, response, _next) => {
    const error = toQuernError(thrown);
    if (error.code === "internal_error") events.requestBroke(request, thrown);
    if (FILE_STORE_CODES.has(error.code)) events.fileStoreFailed(request, thrown);
    if (response.headersSent) {
      // Half an answer can only be cut off: its reader must not take it for whole.
      response.destroy();
      return;
    }
    replyWithError(response, error);
  };
}

export function replyWithError(response: Response, error: QuernError): void {
  const status = httpStatusOf(error.code);
  if (status === 503 || status === 429 || error.retryAfterSeconds !== null) {
    response.setHeader("retry-after", String(error.retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS));
  }
  // OpenAI's client retries every 5xx and 409 unless told; what killed an engine must not be sent to the next.
  if ((status >= 500 || status === 409) && !error.retryable) response.setHeader("x-should-retry", "false");
  response.status(status).json(toErrorBody(error));
}

export function toQuernError(thrown: unknown): QuernError {
  if (thrown instanceof QuernError) return thrown;
  if (isRedisAway(thrown)) {
    const message = writeRefusalOf(thrown) ?? "the queue can't be reached just now; try again soon";
    return new QuernError("redis_unavailable", message, { cause: thrown });
  }
  return (
    fromBodyParserError(thrown) ??
    new QuernError("internal_error", "something went wrong on our side; the gateway's log says what", {
      cause: thrown,
    })
  );
}
