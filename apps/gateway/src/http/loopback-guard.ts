import { QuernError } from "@quern/shared/contract/errors";
import type { RequestHandler } from "express";
import { hostNameOf, isLoopbackName } from "./loopback.ts";

/**
 * For a gateway without API keys. It listens on loopback only, but a browser on this machine visits strangers' pages:
 * a page may post here directly (then `Origin` names it), or let its own name point to 127.0.0.1 (then `Host` does).
 */
export const loopbackGuard: RequestHandler = (request, _response, next) => {
  const { host, origin } = request.headers;
  for (const [header, value] of [
    ["Host", host],
    ["Origin", origin],
  ] as const) {
    const name = value === undefined ? null : hostNameOf(value);
    if (value === undefined || (name !== null && isLoopbackName(name))) continue;
    throw new QuernError(
      "forbidden",
      `without API keys this gateway answers this machine only; the ${header} header names '${value}'`,
    );
  }
  next();
};
