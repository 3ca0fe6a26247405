import type { TokenLogprob } from "../contract/generation.ts";

/** OpenAI's older form: lists side by side, one entry a token. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  /** The likeliest tokens of each position, and the one that was taken. */
  top_logprobs: Record<string, number>[];
  /** Where each token begins, in characters (code points) of the choice's text. */
  text_offset: number[];
}

/** Counts the characters of one choice over all its chunks. */
export class CompletionLogprobTrail {
  #begun = 0;

  next(tokens: readonly TokenLogprob[]): CompletionLogprobs {
    return {
      tokens: tokens.map(({ token }) => token),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.map(({ token, logprob, top }) =>
        Object.fromEntries([...top.map((one) => [one.token, one.logprob] as const), [token, logprob]]),
      ),
      text_offset: tokens.map(({ bytes }) => this.#offsetOf(bytes)),
    };
  }

  /** A token that begins amid a character has that character's place. */
  #offsetOf(bytes: readonly number[]): number {
    const [first = 0] = bytes;
    const offset = isContinuation(first) ? Math.max(0, this.#begun - 1) : this.#begun;
    this.#begun += bytes.filter((byte) => !isContinuation(byte)).length;
    return offset;
  }
}

/** UTF-8: a character is one byte of another kind, and as many of these as it needs. */
function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
