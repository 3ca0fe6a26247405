import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenText } from "./token-text.ts";

// Byte tokens: the id is the byte.
const detokenize = (tokens: readonly number[]) => new TextDecoder().decode(Uint8Array.from(tokens));

function textsOf(bytes: number[]): string[] {
  const text = new TokenText(detokenize);
  return [...bytes.map((byte) => text.push(byte)), text.end()];
}

test("a character comes out whole, with its last byte", () => {
  expect(textsOf([...Buffer.from("aé😀")])).toEqual(["a", "", "é", "", "", "", "😀", ""]);
});

test("bytes that form no character come out as U+FFFD, and hold nothing up", () => {
  expect(textsOf([0xff, 0x61])).toEqual(["", "\uFFFDa", ""]);
  expect(textsOf([0xff, 0xff, 0xff, 0xff, 0x61]).join("")).toBe("\uFFFD\uFFFD\uFFFD\uFFFDa");
});

test("a character cut off at the end comes out as U+FFFD", () => {
  expect(textsOf([0x61, 0xf0, 0x9f])).toEqual(["a", "", "", "\uFFFD"]);
});

test("a U+FFFD that was meant does not hide the half character behind it", () => {
  expect(textsOf([...Buffer.from("\uFFFD\uFFFD😀")]).join("")).toBe("\uFFFD\uFFFD😀");
});

test("whatever bytes come, one by one or together, the text is that of all of them", () => {
  const bytes = fc.array(fc.constantFrom(0x61, 0x80, 0x9f, 0xbd, 0xbf, 0xc3, 0xe2, 0xef, 0xf0, 0xff), {
    maxLength: 24,
  });
  fc.assert(
    fc.property(bytes, (given) => {
      expect(textsOf(given).join("")).toBe(detokenize(given));
    }),
    { numRuns: 2_000 },
  );
});
