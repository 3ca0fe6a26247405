import type { LlamaModel, Token } from "node-llama-cpp";

/** Qwen3-Embedding reads its vector off this token, which has to be the last. */
const END = "<|endoftext|>";

/** Makes of a text the tokens whose last one's state is its vector. Control tokens in it are plain characters. */
export type InputReader = (text: string) => Token[];

/**
 * What a file says of the begin and the end of its texts holds; not all files of Qwen3-Embedding say it. A chat model's
 * vectors are those of the bare text.
 */
export function inputReader(model: LlamaModel, kind: "chat" | "embedding"): InputReader {
  const { bos, eos, shouldPrependBosToken, shouldAppendEosToken } = model.tokens;
  const begin = shouldPrependBosToken && bos !== null ? [bos] : [];
  const ownEnd = shouldAppendEosToken && eos !== null ? [eos] : [];
  const end = ownEnd.length === 0 && kind === "embedding" ? endOfText(model) : ownEnd;
  return (text) => [...begin, ...model.tokenize(text, false), ...end];
}

/** Empty: its vocabulary has no such token. */
function endOfText(model: LlamaModel): Token[] {
  const tokens = model.tokenize(END, true);
  return tokens.length === 1 ? tokens : [];
}
