import { expect, test } from "vitest";
import { decodeTokens, encodedLength, encodeTokens } from "./token-ids.ts";

test("token ids come back as they were, and their number is known without reading them", () => {
  const tokens = [0, 1, 151_935, 2 ** 31 + 5, 7];
  const encoded = encodeTokens(tokens);
  expect(decodeTokens(encoded)).toEqual(tokens);
  expect(encodedLength(encoded)).toBe(tokens.length);
  expect(decodeTokens(encodeTokens([]))).toEqual([]);
});
