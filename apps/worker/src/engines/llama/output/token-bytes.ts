import type { LlamaModel, Token } from "node-llama-cpp";
import type { TokenBytes } from "./logprob-trail.ts";

const textEncoder = new TextEncoder();

/**
 * What each token of the vocabulary holds, byte by byte. Qwen's vocabularies are byte-level BPE: the file spells each
 * byte as one printable character. Control tokens, and tokens of other kinds of vocabularies, are taken as their text.
 */
export function tokenBytes(model: LlamaModel): TokenBytes {
  const { tokens, model: kind } = model.fileInfo.metadata.tokenizer?.ggml ?? {};
  const byteLevel = kind === "gpt2" ? bytesBySpelling() : null;
  return (token) => {
    const spelling = tokens?.[token];
    const { normal } = model.getTokenAttributes(token as Token);
    if (byteLevel !== null && spelling !== undefined && normal) {
      const bytes = Array.from(spelling, (character) => byteLevel.get(character));
      if (bytes.every((byte) => byte !== undefined)) return Uint8Array.from(bytes);
    }
    return textEncoder.encode(model.detokenize([token as Token], true));
  };
}

/** GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and up, in ascending order. */
function bytesBySpelling(): Map<string, number> {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const spellings = new Map<string, number>();
  let others = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    spellings.set(String.fromCodePoint(isPrintable(byte) ? byte : 0x100 + others), byte);
    if (!isPrintable(byte)) others += 1;
  }
  return spellings;
}
