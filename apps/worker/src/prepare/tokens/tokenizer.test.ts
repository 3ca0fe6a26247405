import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { canOverlap } from "./special-tokens.ts";
import { splitText } from "./split-points.ts";
import { loadVocabulary, type Vocabulary } from "./vocabulary.ts";

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");
let vocabulary: Vocabulary;
beforeAll(async () => {
  vocabulary = await loadVocabulary(TINY);
});

/** Texts of all that decides where tokens end: letters, digits, blanks, marks, punctuation, special tokens. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "<|im_start|>",
        "<|im_end|>",
        "<think>",
        "</think>",
        "<tool_call>",
        "<",
        "|>",
        "\n",
        "\r\n",
        "  ",
        "'s",
        "'",
        "e\u0301",
        "\u0301",
        "中文，",
        "123",
        "٣",
        "🙂",
      ),
      fc.string({ unit: "grapheme", maxLength: 12 }),
      fc.stringMatching(/^[a-zA-Z ]{0,20}$/),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(""));

test("a text's tokens are llama.cpp's own, with and without control tokens", () => {
  const { model, tokenizer } = vocabulary;
  fc.assert(
    fc.property(anyText, fc.boolean(), (text, literal) => {
      const { tokens, isWhole } = tokenizer.read([{ text, literal }]);
      expect(isWhole).toBe(true);
      expect(tokens).toEqual(model.tokenize(text, !literal));
    }),
    { numRuns: 500 },
  );
});

test("a text that is cut into chunks gives the tokens of the whole text", () => {
  const { model } = vocabulary;
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 8 }), (text, chunkCharacters) => {
      // Special tokens are split off before a text is cut.
      const plain = text.replaceAll(/<[^>]*>/g, "");
      const chunks = [...splitText(plain, chunkCharacters)];
      expect(chunks.join("")).toBe(plain);
      expect(chunks.flatMap((chunk) => model.tokenize(chunk, false))).toEqual(model.tokenize(plain, false));
    }),
    { numRuns: 500 },
  );
});

test("reading stops as soon as the text certainly has more tokens than asked for", () => {
  const { tokenizer } = vocabulary;
  const long = "The capital of France is Paris. ".repeat(100_000);
  const { tokens, isWhole } = tokenizer.read([{ text: long, literal: true }], 1_000);
  expect(isWhole).toBe(false);
  expect(tokens.length).toBeLessThan(20_000);
  // One word, which is never cut: its bytes alone decide.
  const word = tokenizer.read([{ text: "B".repeat(3_000_000), literal: true }], 1_000);
  expect(word).toEqual({ tokens: [], isWhole: false });
  expect(tokenizer.read([{ text: "a b c", literal: true }], 5).isWhole).toBe(true);
});

test("the work grows with the text, not with the square of its special tokens", () => {
  const { model, tokenizer } = vocabulary;
  const turn = "<|im_start|>user\n<|im_end|>\n";
  const few = tokenizer.read([{ text: turn.repeat(10), literal: false }]).tokens;
  let calls = 0;
  const tokenize = model.tokenize.bind(model);
  model.tokenize = ((...args: Parameters<typeof tokenize>) => {
    calls += 1;
    return tokenize(...args);
  }) as typeof model.tokenize;
  try {
    const many = tokenizer.read([{ text: turn.repeat(20_000), literal: false }]).tokens;
    expect(many).toHaveLength(few.length * 2_000);
  } finally {
    model.tokenize = tokenize;
  }
  // What stands between the special tokens is the same in every turn, and was read before.
  expect(calls).toBe(0);
});

test("tokens that overlap are told", () => {
  const texts = (...all: string[]) => all.map((text) => ({ text }));
  expect(canOverlap(texts("<|im_start|>", "<|im_end|>", "<think>", "</think>"))).toBe(false);
  expect(canOverlap(texts("ab", "bcd"))).toBe(true);
  expect(canOverlap(vocabulary.specialTokens)).toBe(false);
});
