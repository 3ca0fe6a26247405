import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";

/** The share of the event loop that large bodies may take. 80 bodies of 200 KB a second fit into it, or 1.5 of 10 MB. */
const LOOP_SHARE = 0.05;
/** All large bodies together that are being read or wait for their turn. Bounds the memory that they take. */
const MAX_HELD_BYTES = 256 * 2 ** 20;
const RETRY_AFTER_SECONDS = 5;

/**
 * Lets large bodies be parsed one at a time, with pauses. Parsing 10 MB of JSON keeps the event loop for some 30 ms, during
 * which no other request is served and no token is passed on: a caller that sends such bodies without a pause would slow
 * down everybody else.
 */
export class LargeBodyTurns {
  readonly #maxHeldBytes: number;
  readonly #now: () => number;
  #heldBytes = 0;
  #nextAtMs = 0;
  #last: Promise<void> = Promise.resolve();

  constructor({ maxHeldBytes = MAX_HELD_BYTES, now = () => performance.now() } = {}) {
    this.#maxHeldBytes = maxHeldBytes;
    this.#now = now;
  }

  /** Reserves memory for a body before it is read. @throws QuernError `gateway_overloaded`. */
  hold(bytes: number): Disposable {
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > this.#maxHeldBytes) {
      throw new QuernError(
        "gateway_overloaded",
        "this gateway holds as many large bodies as it can; nothing was submitted, try again later or at another gateway",
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      );
    }
    this.#heldBytes += bytes;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#heldBytes -= bytes;
        isHeld = false;
      },
    };
  }

  /** Calls `work`, which is synchronous and may take long, when it is its turn. Rejects with what it throws. */
  take(work: () => void): Promise<void> {
    const done = this.#last.then(() => this.#run(work));
    this.#last = done.catch(() => {});
    return done;
  }

  async #run(work: () => void): Promise<void> {
    const waitMs = this.#nextAtMs - this.#now();
    if (waitMs > 0) await sleep(waitMs);
    const beganMs = this.#now();
    try {
      work();
    } finally {
      const endedMs = this.#now();
      this.#nextAtMs = endedMs + (endedMs - beganMs) * (1 / LOOP_SHARE - 1);
    }
  }
}
