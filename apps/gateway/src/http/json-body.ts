import { QuernError } from "@quern/shared/contract/errors";
import express, { type RequestHandler } from "express";

/** Reads a JSON body of at most `maxBodyBytes` into `request.body`. */
export function jsonBody(maxBodyBytes: number): RequestHandler[] {
  return [requireJson, express.json({ limit: maxBodyBytes, strict: false, type: () => true })];
}

/** Also keeps web pages out: a browser asks first (and is refused) before it sends this type to another origin. */
const requireJson: RequestHandler = (request, _response, next) => {
  if (request.is("application/json")) return next();
  const type = request.header("content-type");
  throw new QuernError(
    "invalid_request",
    `the body must be JSON: send the header 'content-type: application/json'${type === undefined ? "" : ` instead of '${type}'`}`,
  );
};

interface BodyParserError {
  type: string;
  limit?: number;
  message: string;
}

/** What Express's body parser throws, as ours; null when it is something else. */
export function fromBodyParserError(error: unknown): QuernError | null {
  const { type, limit, message } = error as Partial<BodyParserError>;
  switch (type) {
    case "entity.too.large":
      return new QuernError(
        "body_too_large",
        `the body is larger than ${limit} bytes; send less, or raise QUERN_MAX_BODY_BYTES of the gateway`,
      );
    case "entity.parse.failed":
      return new QuernError("invalid_json", `the body is not JSON: ${message}`);
    case "charset.unsupported":
    case "encoding.unsupported":
    case "request.size.invalid":
    case "request.aborted":
      return new QuernError("invalid_request", `the body can't be read: ${message}`);
    default:
      return null;
  }
}
