/**
 * Token ids as they cross a channel: 32-bit little-endian integers in base64. A prompt of 100,000 tokens is read in well
 * under a millisecond, where a JSON array of numbers takes ten.
 */
export type EncodedTokens = string;

export function encodeTokens(tokens: readonly number[]): EncodedTokens {
  return Buffer.from(Uint32Array.from(tokens).buffer).toString("base64");
}

export function decodeTokens(encoded: EncodedTokens): number[] {
  const bytes = Buffer.from(encoded, "base64");
  const tokens = new Array<number>(bytes.length / 4);
  for (let at = 0; at < tokens.length; at += 1) tokens[at] = bytes.readUInt32LE(at * 4);
  return tokens;
}

/** How many tokens an encoded text has, without decoding it. */
export function encodedLength(encoded: EncodedTokens): number {
  return Buffer.byteLength(encoded, "base64") / 4;
}
