/** Turns token ids into the text they stand for. */
export type Detokenize = (tokens: readonly number[]) => string;

/** A character takes at most four bytes, and a byte-level token holds at least one. */
const MAX_HELD_TOKENS = 4;

/**
 * Text out of tokens, one at a time, never half a character: while the bytes so far end inside one (they decode to a
 * trailing U+FFFD) the tokens are held. Bytes that no further token can complete come out as U+FFFD.
 */
export class TokenText {
  readonly #detokenize: Detokenize;
  #held: number[] = [];

  constructor(detokenize: Detokenize) {
    this.#detokenize = detokenize;
  }

  push(token: number): string {
    this.#held.push(token);
    const text = this.#detokenize(this.#held);
    if (text.endsWith("\uFFFD") && this.#held.length < MAX_HELD_TOKENS) return "";
    this.#held = [];
    return text;
  }

  /** What is still held when no token follows. */
  end(): string {
    const text = this.#held.length === 0 ? "" : this.#detokenize(this.#held);
    this.#held = [];
    return text;
  }
}
