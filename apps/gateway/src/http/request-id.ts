import { randomUUID } from "node:crypto";
import type { RequestHandler } from "express";

const HEADER = "x-request-id";
const ACCEPTABLE = /^[\w.:-]{1,128}$/;

/** Gives every request an id, the caller's own where it sent a sane one, and answers with it. */
export const requestId: RequestHandler = (request, response, next) => {
  const given = request.header(HEADER);
  response.setHeader(HEADER, given !== undefined && ACCEPTABLE.test(given) ? given : `req_${randomUUID()}`);
  next();
};

export function requestIdOf(response: { getHeader(name: string): unknown }): string {
  return String(response.getHeader(HEADER));
}
