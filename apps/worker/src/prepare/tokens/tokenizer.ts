import type { LlamaModel, Token } from "node-llama-cpp";
import { anyOf, canOverlap, type SpecialToken, type SpecialTokens } from "./special-tokens.ts";
import { isSplittable, splitText } from "./split-points.ts";

/** Short texts between special tokens repeat in every message ("user\n"): their tokens are kept. */
const MAX_KEPT_CHARACTERS = 32;
const MAX_KEPT_TEXTS = 4_096;

/** A part of a prompt. In a `literal` one control tokens are plain characters. */
export interface TextPiece {
  text: string;
  literal: boolean;
}

/** Tokens of a text; `isWhole` false: it has more than were asked for, and reading stopped there. */
export interface ReadTokens {
  tokens: Token[];
  isWhole: boolean;
}

/**
 * Makes tokens of texts in time linear in their length. llama.cpp's own search for special tokens takes time quadratic in
 * how many a text has (20,000 messages: some ten seconds), so the texts are split at them here.
 */
export class Tokenizer {
  readonly #model: LlamaModel;
  readonly #tokenOf: ReadonlyMap<string, Token>;
  /** Matches any special token with all of them, or those that are recognized in literal texts too. */
  readonly #patterns: Record<"template" | "literal", RegExp | null>;
  readonly #canSplit: boolean;
  readonly #maxTokenBytes: number;
  readonly #kept = new Map<string, Token[]>();

  constructor(model: LlamaModel, { specialTokens, maxTokenBytes, stripsBlanks }: SpecialTokens) {
    this.#model = model;
    this.#maxTokenBytes = maxTokenBytes;
    this.#tokenOf = new Map(specialTokens.map(({ text, token }) => [text, token]));
    const isSimple = !stripsBlanks && !canOverlap(specialTokens);
    const pattern = (tokens: readonly SpecialToken[]) => (isSimple ? anyOf(tokens) : null);
    this.#patterns = {
      template: pattern(specialTokens),
      literal: pattern(specialTokens.filter(({ kind }) => kind === "user_defined")),
    };
    this.#canSplit = isSimple && isSplittable(model.fileInfo.metadata.tokenizer?.ggml?.pre);
  }

  /** All tokens of a short text of our own, with control tokens. */
  tokenize(text: string): Token[] {
    return this.read([{ text, literal: false }]).tokens;
  }

  /** Stops as soon as it is certain that the pieces have more than `mostTokens`. */
  read(pieces: Iterable<TextPiece>, mostTokens = Number.POSITIVE_INFINITY): ReadTokens {
    const tokens: Token[] = [];
    for (const piece of pieces) {
      for (const part of this.#parts(piece)) {
        if (typeof part === "number") tokens.push(part);
        else {
          // A run of letters can be very long, and is tokenized in one call.
          const atLeast = Buffer.byteLength(part) / this.#maxTokenBytes;
          if (tokens.length + atLeast > mostTokens) return { tokens, isWhole: false };
          for (const token of this.#plain(part, piece.literal)) tokens.push(token);
        }
        if (tokens.length > mostTokens) return { tokens, isWhole: false };
      }
    }
    return { tokens, isWhole: true };
  }

  /** Special tokens, and the texts between them. */
  *#parts({ text, literal }: TextPiece): Generator<Token | string> {
    const pattern = this.#patterns[literal ? "literal" : "template"];
    let from = 0;
    if (pattern !== null) {
      for (const { 0: special, index } of text.matchAll(pattern)) {
        if (index > from) yield* this.#chunks(text.slice(from, index));
        yield this.#tokenOf.get(special) as Token;
        from = index + special.length;
      }
    }
    if (from < text.length) yield* this.#chunks(text.slice(from));
  }

  #chunks(text: string): Iterable<string> {
    return this.#canSplit ? splitText(text) : [text];
  }

  #plain(text: string, literal: boolean): readonly Token[] {
    // Where the pattern could not be made, llama.cpp looks for the special tokens itself.
    const special = !literal && this.#patterns.template === null;
    if (special || text.length > MAX_KEPT_CHARACTERS) return this.#model.tokenize(text, special);
    const kept = this.#kept.get(text);
    if (kept !== undefined) return kept;
    const tokens = this.#model.tokenize(text, false);
    if (this.#kept.size < MAX_KEPT_TEXTS) this.#kept.set(text, tokens);
    return tokens;
  }
}
