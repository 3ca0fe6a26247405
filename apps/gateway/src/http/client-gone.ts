import type { Response } from "express";

/** Aborts when the caller hangs up before the reply is complete; at once when it has hung up already. */
export function clientGone(response: Response): AbortSignal {
  const gone = new AbortController();
  if (response.closed) gone.abort();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
