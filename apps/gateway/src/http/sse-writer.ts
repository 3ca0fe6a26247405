import { once } from "node:events";
import type { Response } from "express";

/**
 * Proxies and load balancers drop connections that are silent for some time; 15 s is below all common limits, and what is
 * promised. The rest is for a busy process.
 */
const HEARTBEAT_INTERVAL_MS = 10_000;

/**
 * Server-sent events on one response. A write waits until the reader took it, so a slow reader holds back its own
 * source and nothing piles up here.
 */
export class SseWriter implements Disposable {
  readonly #response: Response;
  readonly #gone: AbortSignal;
  /** `#gone.aborted`, which takes a composite signal much longer to tell. */
  #isGone: boolean;
  readonly #heartbeat: NodeJS.Timeout;

  /** `gone` aborts when the reader hangs up. Sends the headers at once: the stream is open. */
  constructor(response: Response, gone: AbortSignal, heartbeatIntervalMs = HEARTBEAT_INTERVAL_MS) {
    this.#response = response;
    this.#gone = gone;
    this.#isGone = gone.aborted;
    gone.addEventListener("abort", this.#onGone, { once: true });
    response.status(200).set({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      // nginx would otherwise collect the stream before it passes it on.
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
    this.#heartbeat = setInterval(() => {
      if (!response.writableNeedDrain) response.write(": still here\n\n");
    }, heartbeatIntervalMs);
  }

  /** `data` is one line: JSON, or OpenAI's `[DONE]`. */
  event(event: { event?: string; id?: string; data: string }): Promise<void> {
    return this.#write(sseText(event));
  }

  /** Events as `sseFrame` writes them, each asked for when the one before it was taken. */
  async frames(frames: Iterable<Buffer>): Promise<void> {
    for (const frame of frames) {
      if (this.#isGone) return;
      if (!this.#response.write(frame)) await this.#drained();
    }
  }

  /** How soon a browser reconnects. */
  retry(delayMs: number): Promise<void> {
    return this.#write(`retry: ${delayMs}\n\n`);
  }

  end(): void {
    this[Symbol.dispose]();
    this.#response.end();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#heartbeat);
    this.#gone.removeEventListener("abort", this.#onGone);
  }

  readonly #onGone = () => {
    this.#isGone = true;
  };

  async #write(text: string): Promise<void> {
    if (this.#isGone || this.#response.write(text)) return;
    await this.#drained();
  }

  async #drained(): Promise<void> {
    await once(this.#response, "drain", { signal: this.#gone }).catch(() => {});
  }
}

/** One event as it goes over the wire. */
export function sseFrame(event: { event?: string; id?: string; data: string }): Buffer {
  return Buffer.from(sseText(event));
}

function sseText({ event, id, data }: { event?: string; id?: string; data: string }): string {
  const named = event === undefined ? "" : `event: ${event}\n`;
  const numbered = id === undefined ? "" : `id: ${id}\n`;
  return `${named}${numbered}data: ${data}\n\n`;
}
