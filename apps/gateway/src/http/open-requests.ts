import type { RequestHandler } from "express";

/** Requests that are being answered. Those of health checks don't count: they come for as long as somebody answers. */
export class OpenRequests {
  #count = 0;
  #onNone = () => {};
  readonly #ignoredPaths: ReadonlySet<string>;

  constructor(ignoredPaths: Iterable<string>) {
    this.#ignoredPaths = new Set(ignoredPaths);
  }

  /** Counts a request until its connection is done with it, answered or cut off. */
  readonly count: RequestHandler = (request, response, next) => {
    if (!this.#ignoredPaths.has(request.path)) {
      this.#count += 1;
      response.once("close", () => {
        this.#count -= 1;
        if (this.#count === 0) this.#onNone();
      });
    }
    next();
  };

  /** Resolves when none is open, or when `signal` aborts. */
  none(signal: AbortSignal): Promise<void> {
    if (this.#count === 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNone = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}
