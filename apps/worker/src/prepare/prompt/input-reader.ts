import type { Token } from "node-llama-cpp";
import type { Vocabulary } from "../tokens/vocabulary.ts";

/** Qwen3-Embedding reads its vector off this token, which has to be the last. */
const END = "<|endoftext|>";

/** Makes of a text the tokens whose last one's state is its vector. Control tokens in it are plain characters. */
export type InputReader = (text: string) => Token[];

/**
 * Adds what the file says about the begin and the end of its texts; not all files of Qwen3-Embedding say it. A chat model's
 * vectors are those of the bare text.
 */
export function inputReader({ model, tokenizer }: Vocabulary, kind: "chat" | "embedding"): InputReader {
  const { bos, eos, shouldPrependBosToken, shouldAppendEosToken } = model.tokens;
  const begin = shouldPrependBosToken && bos !== null ? [bos] : [];
  const ownEnd = shouldAppendEosToken && eos !== null ? [eos] : [];
  const end = ownEnd.length === 0 && kind === "embedding" ? endOfText(tokenizer.tokenize(END)) : ownEnd;
  return (text) => [...begin, ...tokenizer.read([{ text, literal: true }]).tokens, ...end];
}

/** Empty: the vocabulary has no such token. */
function endOfText(tokens: Token[]): Token[] {
  return tokens.length === 1 ? tokens : [];
}
