import type { Response } from "express";

/** Aborts when the caller hangs up before the reply is complete. */
export function clientGone(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
