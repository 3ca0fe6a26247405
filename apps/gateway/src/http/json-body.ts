import { QuernError } from "@quern/shared/contract/errors";
import express, { type RequestHandler } from "express";
import { LargeBodyTurns } from "./large-body-turns.ts";

/** Bodies above this take turns (`large-body-turns.ts`). A smaller one is parsed in well under a millisecond. */
const LARGE_BODY_BYTES = 64 * 1_024;

/** Reads a JSON body of at most `maxBodyBytes` into `request.body`. */
export function jsonBody(maxBodyBytes: number, turns = new LargeBodyTurns()): RequestHandler[] {
  const limits = { limit: maxBodyBytes, type: () => true };
  // It leaves alone what the one before it has read.
  return [requireJson, largeJsonBody(maxBodyBytes, turns), express.json({ ...limits, strict: false })];
}

function largeJsonBody(maxBodyBytes: number, turns: LargeBodyTurns): RequestHandler {
  const readBytes = express.raw({ limit: maxBodyBytes, type: () => true });
  return (request, response, next) => {
    // Without a length it may be large. Other charsets than UTF-8 are rare; express.json knows them.
    const bytes = Number(request.header("content-length") ?? maxBodyBytes);
    const isUtf8 = /charset=(?!"?utf-8)/i.exec(request.header("content-type") ?? "") === null;
    if (bytes <= LARGE_BODY_BYTES || !isUtf8) return next();
    const held = turns.hold(Math.min(bytes, maxBodyBytes));
    response.once("close", () => held[Symbol.dispose]());
    readBytes(request, response, (error?: unknown) => {
      if (error !== undefined) return next(error);
      const turn = turns.take(() => {
        if (response.destroyed) return;
        request.body = parseJson(request.body);
        // The route checks the body before it waits for anything: that is part of the turn.
        next();
      });
      turn.catch(next).finally(() => held[Symbol.dispose]());
    });
  };
}

/** `bytes` is an object without bytes where there was no body, as with express.json. */
function parseJson(bytes: unknown): unknown {
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new QuernError("invalid_json", `the body is not JSON: ${(error as Error).message}`);
  }
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
