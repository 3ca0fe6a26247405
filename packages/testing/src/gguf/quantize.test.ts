import { expect, test } from "vitest";
import { fromFloat16Bits, toFloat16Bits } from "./float16.ts";
import { encodeWeights } from "./quantize.ts";
import { RandomSource } from "./random-source.ts";

test("halves have the bits of IEEE 754", () => {
  const known: [number, number][] = [
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [0.1, 0x2e66],
    [65504, 0x7bff],
    [1e6, 0x7bff],
    [2 ** -24, 0x0001],
    [2 ** -14, 0x0400],
    [1e-9, 0x0000],
  ];
  for (const [value, bits] of known) expect(toFloat16Bits(value), String(value)).toBe(bits);
  expect(fromFloat16Bits(toFloat16Bits(Number.NaN))).toBeNaN();
});

test("every half survives the way to a number and back", () => {
  for (let bits = 0; bits < 0x7c00; bits++) {
    if (toFloat16Bits(fromFloat16Bits(bits)) !== bits) expect.fail(`0x${bits.toString(16)} changed`);
  }
});

test.each([
  ["q8_0", 34, 1 / 127],
  ["q4_0", 18, 1 / 8],
] as const)("%s keeps each weight within a step of its block's largest", (type, blockBytes, step) => {
  const random = new RandomSource(3);
  const weights = Float32Array.from({ length: 64 }, () => random.weight(1));
  const bytes = encodeWeights(type, weights);
  expect(bytes.length).toBe(2 * blockBytes);
  for (const block of [0, 1]) {
    const original = weights.subarray(block * 32, block * 32 + 32);
    const decoded = decodeBlock(type, bytes.subarray(block * blockBytes, (block + 1) * blockBytes));
    const largest = Math.max(...original.map(Math.abs));
    for (const [i, weight] of original.entries()) {
      expect(Math.abs((decoded[i] ?? 0) - weight)).toBeLessThanOrEqual(largest * step * 1.01);
    }
  }
});

test("a block of zeros stays zero and a NaN makes its block NaN", () => {
  for (const type of ["q8_0", "q4_0"] as const) {
    expect(decodeBlock(type, encodeWeights(type, new Float32Array(32))).every((weight) => weight === 0)).toBe(
      true,
    );
    const poisoned = new Float32Array(32).fill(1);
    poisoned[7] = Number.NaN;
    expect(decodeBlock(type, encodeWeights(type, poisoned)).every(Number.isNaN)).toBe(true);
  }
});

/** As `dequantize_row_q8_0` and `dequantize_row_q4_0` of llama.cpp read them. */
function decodeBlock(type: "q8_0" | "q4_0", bytes: Buffer): number[] {
  const scale = fromFloat16Bits(bytes.readUInt16LE(0));
  const levels = bytes.subarray(2);
  if (type === "q8_0") return Array.from(levels, (_, i) => levels.readInt8(i) * scale);
  return [...Array.from(levels, (byte) => byte & 0xf), ...Array.from(levels, (byte) => byte >> 4)].map(
    (nibble) => (nibble - 8) * scale,
  );
}
