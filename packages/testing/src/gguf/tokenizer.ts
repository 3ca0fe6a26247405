import { CHAT_TEMPLATE } from "./chat-template.ts";
import type { MetadataValue } from "./gguf-writer.ts";

/** `llama_token_type` of llama.cpp. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

export const END_OF_TURN = "<|im_end|>";
const END_OF_TEXT = "<|endoftext|>";

/** Qwen3's, of those that its template and Quern's parsers know. */
const SPECIAL_TOKENS: ReadonlyMap<string, number> = new Map([
  [END_OF_TEXT, CONTROL],
  ["<|im_start|>", CONTROL],
  [END_OF_TURN, CONTROL],
  ["<tool_call>", USER_DEFINED],
  ["</tool_call>", USER_DEFINED],
  ["<tool_response>", USER_DEFINED],
  ["</tool_response>", USER_DEFINED],
  ["<think>", USER_DEFINED],
  ["</think>", USER_DEFINED],
]);

/** Enough merges that BPE has something to do; every other word is spelt in bytes. */
const COMMON_WORDS = [
  "system",
  "user",
  "assistant",
  " the",
  " and",
  " is",
  " of",
  " to",
  " you",
  " answer",
  "Hello",
];

export interface Tokenizer {
  size: number;
  /** Throws when no single token spells `piece`. */
  idOf: (piece: string) => number;
  metadata: Map<string, MetadataValue>;
}

interface TokenizerOptions {
  /** Tokens that no merge leads to: a model may say them, but no prompt contains them. */
  minted?: readonly string[];
  /** Control tokens beside those that every Qwen has. */
  controlTokens?: readonly string[];
  /** Fills the vocabulary up with unused tokens. */
  size?: number;
  /** Jinja. */
  chatTemplate?: string;
}

/** A byte-level BPE tokenizer (`gpt2`, pre-tokenizer `qwen2`): any UTF-8 text survives a round trip. */
export function createTokenizer({
  minted = [],
  controlTokens = [],
  size = 0,
  chatTemplate = CHAT_TEMPLATE,
}: TokenizerOptions = {}): Tokenizer {
  const types = new Map<string, number>();
  const merges: string[] = [];
  for (const symbol of BYTE_SYMBOLS) types.set(symbol, NORMAL);
  for (const word of COMMON_WORDS) addMerges(toSymbols(word), types, merges);
  for (const piece of minted) types.set(toSymbols(piece), NORMAL);
  for (const [token, type] of SPECIAL_TOKENS) types.set(token, type);
  for (const token of controlTokens) types.set(token, CONTROL);
  while (types.size < size) types.set(`[PAD${types.size}]`, UNUSED);

  const tokens = [...types.keys()];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const idOf = (piece: string) => {
    const id = ids.get(SPECIAL_TOKENS.has(piece) ? piece : toSymbols(piece));
    if (id === undefined) throw new Error(`no token spells ${JSON.stringify(piece)}`);
    return id;
  };
  return {
    size: tokens.length,
    idOf,
    metadata: new Map<string, MetadataValue>([
      ["tokenizer.ggml.model", { string: "gpt2" }],
      ["tokenizer.ggml.pre", { string: "qwen2" }],
      ["tokenizer.ggml.tokens", { strings: tokens }],
      ["tokenizer.ggml.token_type", { int32s: [...types.values()] }],
      ["tokenizer.ggml.merges", { strings: merges }],
      ["tokenizer.ggml.eos_token_id", { uint32: idOf(END_OF_TURN) }],
      ["tokenizer.ggml.padding_token_id", { uint32: idOf(END_OF_TEXT) }],
      ["tokenizer.ggml.bos_token_id", { uint32: idOf(END_OF_TEXT) }],
      ["tokenizer.ggml.add_bos_token", { bool: false }],
      ["tokenizer.chat_template", { string: chatTemplate }],
    ]),
  };
}

export function isSpecialToken(piece: string): boolean {
  return SPECIAL_TOKENS.has(piece);
}

/** Cuts before and after every special token. */
export function splitAtSpecialTokens(text: string): string[] {
  const escaped = [...SPECIAL_TOKENS.keys()].map((token) => token.replace(/[|]/g, "\\|"));
  return text.split(new RegExp(`(${escaped.join("|")})`)).filter((part) => part !== "");
}

/**
 * GPT-2 writes each byte as a printable character: itself where it is one, else the next free one from U+0100 on
 * (`bytes_to_unicode` of its encoder.py).
 */
const BYTE_SYMBOLS: readonly string[] = (() => {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

function toSymbols(text: string): string {
  return [...Buffer.from(text, "utf8")].map((byte) => BYTE_SYMBOLS[byte]).join("");
}

/** From left to right: each prefix of the word becomes a token. */
function addMerges(word: string, types: Map<string, number>, merges: string[]): void {
  const symbols = [...word];
  let prefix = symbols[0] ?? "";
  for (const symbol of symbols.slice(1)) {
    if (!types.has(prefix + symbol)) {
      merges.push(`${prefix} ${symbol}`);
      types.set(prefix + symbol, NORMAL);
    }
    prefix += symbol;
  }
}
