import { expect, test } from "vitest";
import { highest, median, medianRatio, quantile } from "./statistics.ts";

test("the median is the middle one, or half-way between the two", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7])).toBe(7);
  expect(median([])).toBeNull();
});

test("values are ordered as numbers, and left as they were", () => {
  const values = [100, 9, 20];
  expect(median(values)).toBe(20);
  expect(values).toEqual([100, 9, 20]);
});

test("quantiles are linear between neighbours", () => {
  const values = [10, 20, 30, 40, 50];
  expect(quantile(values, 0)).toBe(10);
  expect(quantile(values, 1)).toBe(50);
  expect(quantile(values, 0.25)).toBe(20);
  expect(quantile(values, 0.99)).toBeCloseTo(49.6);
  expect(quantile([], 0.99)).toBeNull();
});

test("the highest of more values than a call can take", () => {
  const values = Array.from({ length: 500_000 }, (_, index) => index);
  expect(highest(values)).toBe(499_999);
  expect(highest([3, 7, 5])).toBe(7);
  expect(highest([])).toBeNull();
});

test("a ratio is taken within a round, whatever the rounds have in common", () => {
  // The machine was ten times slower in the second round: for both.
  expect(medianRatio([110, 11, 120], [100, 10, 100])).toBeCloseTo(1.1);
});

test("rounds without both values don't count", () => {
  expect(medianRatio([null, 30, 10], [10, 10, null])).toBe(3);
  expect(medianRatio([null], [10])).toBeNull();
  expect(medianRatio([10], [0])).toBeNull();
  expect(medianRatio([10, 20], [10])).toBe(1);
});
