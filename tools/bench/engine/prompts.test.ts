import { expect, test } from "vitest";
import { contextTokensFor, randomTokens, shuffled } from "./prompts.ts";

test("one seed gives one prompt, another seed another one", () => {
  expect(randomTokens(50, 3)).toEqual(randomTokens(50, 3));
  expect(randomTokens(50, 3)).not.toEqual(randomTokens(50, 4));
});

test("prompts are bytes, and many different ones", () => {
  const tokens = randomTokens(2_000, 1);
  expect(tokens).toHaveLength(2_000);
  expect(Math.min(...tokens)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...tokens)).toBeLessThan(256);
  expect(new Set(tokens).size).toBeGreaterThan(240);
});

test("a shuffled list has the same members in another order", () => {
  const list = Array.from({ length: 100 }, (_, index) => index);
  const other = shuffled(list, 5);
  expect(other).not.toEqual(list);
  expect(other.toSorted((a, b) => a - b)).toEqual(list);
  expect(shuffled(list, 5)).toEqual(other);
});

test("contexts are whole steps with room to spare", () => {
  expect(contextTokensFor({ promptTokens: 16, maxTokens: 64 })).toBe(256);
  expect(contextTokensFor({ promptTokens: 200, maxTokens: 56 })).toBe(512);
});
