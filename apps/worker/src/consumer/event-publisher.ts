import type { TokenEvent } from "@quern/shared/contract/token-event";
import {
  type AppendReply,
  type Attempt,
  appendEvents,
  type SequencedEvent,
} from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import { appendDelta, type Delta } from "../protocol/delta.ts";

/**
 * Publishes the events of one attempt in order, one write at a time. What arrives while a write is under way is
 * merged into the next, so a slow Redis gets fewer and larger events, and memory is bounded by the text itself.
 */
export class EventPublisher {
  readonly #redis: Redis;
  readonly #attempt: Attempt;
  readonly #onReply: (reply: Exclude<AppendReply, "ok">) => void;
  #waiting: Delta[] = [];
  #unwritten: SequencedEvent[] = [];
  #lastSeq: number;
  #writing: Promise<void> | null = null;

  /**
   * `lastSeq`: of the stream as the attempt found it. `onReply` hears when Redis answers that the job is wanted
   * cancelled, that this attempt no longer owns it, or that it has lost what was published.
   */
  constructor(
    redis: Redis,
    attempt: Attempt,
    lastSeq: number,
    onReply: (reply: Exclude<AppendReply, "ok">) => void,
  ) {
    this.#redis = redis;
    this.#attempt = attempt;
    this.#lastSeq = lastSeq;
    this.#onReply = onReply;
  }

  push(deltas: Delta[]): void {
    for (const delta of deltas) appendDelta(this.#waiting, delta);
    this.#write();
  }

  /** What was published before this attempt is void. */
  restart(): void {
    this.#add({ type: "restart", data: { attempt: this.#attempt.epoch } });
    this.#write();
  }

  /** Waits for the write under way; returns what is not published, with `last` behind it: a commit or hand-back carries it. */
  async finish(last: TokenEvent[]): Promise<SequencedEvent[]> {
    await this.#writing;
    this.#addWaiting();
    for (const event of last) this.#add(event);
    return this.#unwritten;
  }

  #write(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async #writeAll(): Promise<void> {
    for (;;) {
      this.#addWaiting();
      const events = this.#unwritten;
      if (events.length === 0) return;
      try {
        const reply = await appendEvents(this.#redis, this.#attempt, events, Date.now());
        if (reply !== "ok") this.#onReply(reply);
        // Kept: by them the last write of the attempt is known for one behind a gap, too.
        if (reply === "gap") return;
        this.#unwritten = this.#unwritten.slice(events.length);
      } catch {
        // Redis refused the write (out of memory, read-only). The events are kept: the next write carries them too,
        // and the commit at the latest, which reports the error if it lasts.
        return;
      }
    }
  }

  #addWaiting(): void {
    for (const data of this.#waiting) this.#add({ type: "delta", data });
    this.#waiting = [];
  }

  #add(event: TokenEvent): void {
    this.#lastSeq += 1;
    this.#unwritten.push({ seq: this.#lastSeq, event });
  }
}
