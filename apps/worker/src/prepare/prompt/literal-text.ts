import { randomBytes } from "node:crypto";
import type { PromptRequest } from "../../protocol/prepare-messages.ts";
import { anyOf, type SpecialToken } from "../tokens/special-tokens.ts";
import type { TextPiece } from "../tokens/tokenizer.ts";

/**
 * Keeps callers from speaking the model's control language: a message that contains `<|im_end|>` must not end its own
 * turn. Before rendering, control tokens in the caller's text are replaced by marks; afterwards each mark becomes the
 * plain characters of what it stands for, while the template's own control tokens stay what they are.
 */
export class LiteralText {
  readonly #controlTokens: readonly string[];
  readonly #markOf: ReadonlyMap<string, string>;
  readonly #anyControlToken: RegExp | null;
  // Random, so that no text can contain a mark by intention; U+E000 and U+E001 are private-use characters.
  readonly #markStart = `\uE000${randomBytes(6).toString("hex")}:`;
  readonly #anyMark = new RegExp(`${this.#markStart}(\\d+)\uE001`);

  constructor(specialTokens: readonly SpecialToken[]) {
    const controlTokens = specialTokens.filter(({ kind }) => kind === "control");
    this.#controlTokens = controlTokens.map(({ text }) => text);
    this.#markOf = new Map(this.#controlTokens.map((text, at) => [text, `${this.#markStart}${at}\uE001`]));
    this.#anyControlToken = anyOf(controlTokens);
  }

  mark<Request extends PromptRequest>(request: Request): Request {
    const pattern = this.#anyControlToken;
    if (pattern === null) return request;
    const markText = (text: string) => text.replace(pattern, (token) => this.#markOf.get(token) ?? token);
    return {
      ...request,
      messages: mapStrings(request.messages, markText),
      tools: mapStrings(request.tools, markText),
    };
  }

  /** A rendered prompt as pieces: `literal` ones are plain characters even where they spell a control token. */
  split(prompt: string): TextPiece[] {
    // A pattern with one group: every second piece is what the group matched.
    return prompt
      .split(this.#anyMark)
      .map((piece, position) =>
        position % 2 === 0
          ? { text: piece, literal: false }
          : { text: this.#controlTokens[Number(piece)] ?? "", literal: true },
      )
      .filter(({ text }) => text !== "");
  }
}

function mapStrings<Value>(value: Value, change: (text: string) => string): Value {
  if (typeof value === "string") return change(value) as Value;
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change)) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [change(key), mapStrings(item, change)]),
  ) as Value;
}
