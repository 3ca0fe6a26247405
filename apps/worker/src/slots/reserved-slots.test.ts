import { expect, test } from "vitest";
import { reservedSlotsOf } from "./reserved-slots.ts";

test("one of four slots is reserved, and none of fewer", () => {
  expect([1, 3, 4, 64].map((slots) => reservedSlotsOf(null, slots))).toEqual([0, 0, 1, 1]);
});

test("what is configured counts, as long as batch jobs keep a slot", () => {
  expect(reservedSlotsOf(0, 8)).toBe(0);
  expect(reservedSlotsOf(7, 8)).toBe(7);
  expect(() => reservedSlotsOf(8, 8)).toThrow(/QUERN_RESERVED_SLOTS=8 .* at most 7/);
});
