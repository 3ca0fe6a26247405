import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import type { Ask } from "./ask.ts";

/** What a client means to do with its job. */
export type Intent = "wait" | "follow" | "stream" | "cancel" | "hang up" | "expire";

/** Of a job, beside what it asks for. */
export interface Wish {
  class?: "interactive" | "batch";
  ttl_seconds?: number;
  webhook?: { url: string; secret: string };
}

/** A client's own view of one accepted job: what Quern promised, and what it showed. */
export interface LedgerEntry {
  jobId: string;
  ask: Ask;
  intent: Intent;
  /** Whether its end is to be told by a webhook. */
  isHooked: boolean;
  /** The job's events as this client saw them, over all its connections. */
  events: { id: string; event: string; data: string }[];
  /** Chunks of an OpenAI stream, in order. */
  chunks: string[];
  /** Whether that stream came to its `[DONE]`, and with an error before it. */
  streamEnd: "open" | "cut" | "done" | "error";
  reconnects: number;
  /** Terminal states that anybody saw, in order; more than one is a broken promise. */
  terminalStates: string[];
}

/**
 * Everything that clients saw, kept in memory for the check and appended to a file for people: one JSON line an
 * occurrence. It survives a run that fails; nothing of it needs to survive a power cut.
 */
export class Ledger implements AsyncDisposable {
  readonly entries = new Map<string, LedgerEntry>();
  /** Submissions that were refused or got no reply; the job may run nevertheless, but nothing was promised. */
  refused = 0;
  readonly #file: WriteStream;
  readonly #beganMs = performance.now();

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: "a" });
  }

  accepted(jobId: string, ask: Ask, intent: Intent, wish: Wish = {}): LedgerEntry {
    if (this.entries.has(jobId)) throw new Error(`${jobId} was accepted twice`);
    const entry: LedgerEntry = {
      jobId,
      ask,
      intent,
      isHooked: wish.webhook !== undefined,
      events: [],
      chunks: [],
      streamEnd: "open",
      reconnects: 0,
      terminalStates: [],
    };
    this.entries.set(jobId, entry);
    this.note("accepted", { job: jobId, intent, endpoint: ask.endpoint, body: ask.body });
    return entry;
  }

  event(entry: LedgerEntry, event: { id: string; event: string; data: string }): void {
    entry.events.push(event);
    this.note("event", { job: entry.jobId, ...event });
  }

  chunk(entry: LedgerEntry, data: string): void {
    entry.chunks.push(data);
    this.note("chunk", { job: entry.jobId, data });
  }

  /** The same state seen again is no news. */
  terminal(entry: LedgerEntry, state: string): void {
    if (entry.terminalStates.at(-1) === state) return;
    entry.terminalStates.push(state);
    this.note("terminal", { job: entry.jobId, state });
  }

  note(what: string, details: object): void {
    const line = { atMs: Math.round(performance.now() - this.#beganMs), what, ...details };
    this.#file.write(`${JSON.stringify(line)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#file.end();
    await once(this.#file, "close");
  }
}
