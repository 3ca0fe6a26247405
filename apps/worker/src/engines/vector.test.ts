import { expect, test } from "vitest";
import { encodeVector } from "./vector.ts";

function numbersIn(vector: string): number[] {
  const bytes = Buffer.from(vector, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}

test("a vector is scaled to length 1", () => {
  expect(numbersIn(encodeVector([3, 0, -4], 3))).toEqual([0.6, 0, -0.8].map(Math.fround));
});

test("one that is cut is scaled anew", () => {
  expect(numbersIn(encodeVector([3, 4, 12], 2))).toEqual([0.6, 0.8].map(Math.fround));
  expect(numbersIn(encodeVector([-2, 5], 1))).toEqual([-1]);
});

test("zeros stay zeros", () => {
  expect(numbersIn(encodeVector([0, 0, 7], 2))).toEqual([0, 0]);
});
