/** Turns token ids into the text they stand for. */
export type Detokenize = (tokens: readonly number[]) => string;

/** Half a character is at most three bytes, and a byte-level token holds at least one. */
const MAX_HELD_TOKENS = 3;

/**
 * Text out of tokens, one at a time, never half a character: bytes that end inside one decode to one trailing U+FFFD,
 * which waits for the tokens that may complete it. Bytes that no further token can complete come out as U+FFFD.
 */
export class TokenText {
  readonly #detokenize: Detokenize;
  #held: number[] = [];
  /** Characters of the held tokens' text that came out already. */
  #sent = 0;

  constructor(detokenize: Detokenize) {
    this.#detokenize = detokenize;
  }

  /** The last token may have begun a character that is not out yet. */
  get holding(): boolean {
    return this.#held.length > 0;
  }

  push(token: number): string {
    this.#held.push(token);
    const text = this.#detokenize(this.#held);
    const undecided = text.endsWith("\uFFFD");
    const decided = text.slice(this.#sent, undecided ? -1 : undefined);
    if (!undecided) this.#hold([], 0);
    else if (this.#held.length <= MAX_HELD_TOKENS) this.#sent += decided.length;
    else {
      // What is undecided lies in the last tokens alone: the older ones need not be decoded again.
      const tail = this.#held.slice(-MAX_HELD_TOKENS);
      this.#hold(tail, this.#detokenize(tail).length - 1);
    }
    return decided;
  }

  /** What is still held when no token follows. */
  end(): string {
    const text = this.#held.length === 0 ? "" : this.#detokenize(this.#held).slice(this.#sent);
    this.#hold([], 0);
    return text;
  }

  #hold(tokens: number[], sent: number): void {
    this.#held = tokens;
    this.#sent = sent;
  }
}
