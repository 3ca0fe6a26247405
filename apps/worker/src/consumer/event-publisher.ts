import type { TokenEvent } from "@quern/shared/contract/token-event";
import {
  type Attempt,
  appendEvents,
  FIRST_FREE_SEQ,
  type SequencedEvent,
} from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import { appendDelta, type Delta } from "../engine/output/delta.ts";

/**
 * Publishes the deltas of one attempt in order, one write at a time. What arrives while a write is under way is
 * merged into the next, so a slow Redis gets fewer and larger events, and memory is bounded by the text itself.
 */
export class EventPublisher {
  readonly #redis: Redis;
  readonly #attempt: Attempt;
  readonly #onReply: (reply: "cancel" | "fenced") => void;
  #waiting: Delta[] = [];
  #unwritten: SequencedEvent[] = [];
  #nextSeq = FIRST_FREE_SEQ;
  #writing: Promise<void> | null = null;

  /** `onReply` hears when Redis answers that the job is wanted cancelled, or that this attempt no longer owns it. */
  constructor(redis: Redis, attempt: Attempt, onReply: (reply: "cancel" | "fenced") => void) {
    this.#redis = redis;
    this.#attempt = attempt;
    this.#onReply = onReply;
  }

  push(deltas: Delta[]): void {
    for (const delta of deltas) appendDelta(this.#waiting, delta);
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  /** Waits for the write under way; returns what is not published, with `last` behind it: the commit carries it. */
  async finish(last: TokenEvent[]): Promise<SequencedEvent[]> {
    await this.#writing;
    this.#number();
    for (const event of last) this.#unwritten.push({ seq: this.#nextSeq++, event });
    return this.#unwritten;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      this.#number();
      try {
        const reply = await appendEvents(this.#redis, this.#attempt, this.#unwritten, Date.now());
        this.#unwritten = [];
        if (reply !== "ok") this.#onReply(reply);
      } catch {
        // Redis refused the write (out of memory, read-only). The events are kept: the next write carries them too,
        // and the commit at the latest, which reports the error if it lasts.
        return;
      }
    }
  }

  #number(): void {
    for (const data of this.#waiting) {
      this.#unwritten.push({ seq: this.#nextSeq++, event: { type: "delta", data } });
    }
    this.#waiting = [];
  }
}
