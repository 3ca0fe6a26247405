import type { TokenLogprob } from "@quern/shared/contract/generation";

/** A token's natural-log probability, and the likeliest tokens of its position, the likeliest first. */
export interface TokenProbability {
  logprob: number;
  top: readonly { token: number; logprob: number }[];
}

/** What one token holds; of a byte-level vocabulary that may be half a character. */
export type TokenBytes = (token: number) => Uint8Array;

interface SeenToken {
  token: number;
  probability: TokenProbability;
  /** The characters it has a part in, counted over the whole output. */
  from: number;
  to: number;
}

/**
 * Leads log-probabilities from the tokens to the content they became. Tokens and content are told in characters of
 * the raw output, which later stages cut, hold back and drop; a token belongs to the first content that has one of
 * its characters, or the one that its bytes begin.
 */
export class LogprobTrail {
  readonly #tokenBytes: TokenBytes;
  #tokens: SeenToken[] = [];
  #outputLength = 0;
  /** Content that the stop filter holds, in pieces of the raw output. */
  #content: { from: number; to: number }[] = [];

  constructor(tokenBytes: TokenBytes) {
    this.#tokenBytes = tokenBytes;
  }

  /** A token that made the raw output `length` characters longer, and may have begun one more (`half`). */
  token(token: number, probability: TokenProbability | null, length: number, half: boolean): void {
    const from = this.#outputLength;
    this.#outputLength += length;
    const to = this.#outputLength + (half ? 1 : 0);
    if (probability !== null) this.#tokens.push({ token, probability, from, to });
  }

  /** Characters that earlier tokens held back, made into U+FFFD at the end. */
  rest(length: number): void {
    this.#outputLength += length;
  }

  /** Raw output up to `to` is no content, unless it was named as content before. */
  skip(to: number): void {
    if (this.#content.length > 0) return;
    const kept = this.#tokens.findIndex((token) => token.to > to);
    this.#tokens.splice(0, kept === -1 ? this.#tokens.length : kept);
  }

  /** A piece of the raw output is content; it leaves by `release`. */
  content(from: number, length: number): void {
    this.#content.push({ from, to: from + length });
  }

  /** The next `length` characters of the content leave: the tokens that go with them. */
  release(length: number): TokenLogprob[] {
    const released: TokenLogprob[] = [];
    for (let left = length; left > 0; ) {
      const piece = this.#content[0];
      if (piece === undefined) throw new Error("more content left than came in");
      const to = Math.min(piece.to, piece.from + left);
      released.push(...this.#takeTokens(piece.from, to));
      left -= to - piece.from;
      if (to === piece.to) this.#content.shift();
      else piece.from = to;
    }
    return released;
  }

  #takeTokens(from: number, to: number): TokenLogprob[] {
    const first = this.#tokens.findIndex((token) => token.from >= to);
    const passed = this.#tokens.splice(0, first === -1 ? this.#tokens.length : first);
    return passed
      .filter((token) => token.to > from)
      .map(({ token, probability }) => ({
        ...this.#spelled(token, probability.logprob),
        top: probability.top.map((other) => this.#spelled(other.token, other.logprob)),
      }));
  }

  #spelled(token: number, logprob: number): { token: string; logprob: number; bytes: number[] } {
    const bytes = this.#tokenBytes(token);
    return { token: textDecoder.decode(bytes), logprob, bytes: [...bytes] };
  }
}

/** `ignoreBOM`: a U+FEFF that the model wrote is a character like any other. */
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
