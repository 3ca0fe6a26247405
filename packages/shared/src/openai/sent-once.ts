import { QuernError } from "../contract/errors.ts";
import type { TokenLogprob, ToolCallDelta } from "../contract/generation.ts";

/** Text that leaves once, however often it is generated and however it is cut. */
export class SentText {
  readonly #kind: string;
  #sent = "";
  #repeatedLength = 0;

  constructor(kind: string) {
    this.#kind = kind;
  }

  get isEmpty(): boolean {
    return this.#sent === "";
  }

  restart(): void {
    this.#repeatedLength = 0;
  }

  /** What of it was not sent yet. @throws QuernError `stream_diverged` when it is not what was sent. */
  next(text: string): string {
    const known = this.#sent.slice(this.#repeatedLength, this.#repeatedLength + text.length);
    if (!text.startsWith(known)) throw diverged(this.#kind);
    const unsent = text.slice(known.length);
    this.#sent += unsent;
    this.#repeatedLength += text.length;
    return unsent;
  }

  assertAllRepeated(): void {
    if (this.#repeatedLength < this.#sent.length) throw diverged(this.#kind);
  }
}

/**
 * Tokens with their log-probabilities. Those of a new attempt may differ in their last digits, as sums over other
 * neighbours do: what was sent stands, as long as the tokens are the same.
 */
export class SentTokens {
  readonly #sent: string[] = [];
  #repeatedCount = 0;

  restart(): void {
    this.#repeatedCount = 0;
  }

  next(tokens: readonly TokenLogprob[]): TokenLogprob[] {
    const unsent: TokenLogprob[] = [];
    for (const token of tokens) {
      const spelled = token.bytes.join();
      const known = this.#sent[this.#repeatedCount++];
      if (known === undefined) {
        this.#sent.push(spelled);
        unsent.push(token);
      } else if (known !== spelled) throw diverged("tokens");
    }
    return unsent;
  }

  assertAllRepeated(): void {
    if (this.#repeatedCount < this.#sent.length) throw diverged("tokens");
  }
}

/** One tool call, which arrives with its name first and its arguments in pieces. The id that was sent first stays. */
export class SentToolCall {
  readonly #name = new SentText("tool calls");
  readonly #arguments = new SentText("tool calls");

  restart(): void {
    this.#name.restart();
    this.#arguments.restart();
  }

  /** null: nothing of it is new. */
  next({ function: { name = "", arguments: piece = "" }, ...head }: ToolCallDelta): ToolCallDelta | null {
    const isFirst = this.#name.isEmpty;
    const newName = this.#name.next(name);
    const newPiece = this.#arguments.next(piece);
    if (isFirst) return { ...head, function: { name: newName, arguments: newPiece } };
    // A name arrives whole: a longer one is another one.
    if (newName !== "") throw diverged("tool calls");
    return newPiece === "" ? null : { index: head.index, function: { arguments: newPiece } };
  }

  assertAllRepeated(): void {
    this.#name.assertAllRepeated();
    this.#arguments.assertAllRepeated();
  }
}

export function diverged(what: string): QuernError {
  return new QuernError(
    "stream_diverged",
    `the job had to start again and its new ${what} differs from what was streamed; ask again, or follow the job's own events`,
  );
}
