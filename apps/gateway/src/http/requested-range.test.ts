import { expect, test } from "vitest";
import { requestedRange } from "./requested-range.ts";

test.each([
  [undefined, null],
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=2-", { start: 2, end: 10 }],
  ["bytes=2-4", { start: 2, end: 5 }],
  ["bytes=8-100", { start: 8, end: 10 }],
  ["bytes=-3", { start: 7, end: 10 }],
  ["bytes=-100", { start: 0, end: 10 }],
  ["bytes=10-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=4-2", null],
  ["bytes=0-1,4-5", null],
  ["bytes=-", null],
  ["lines=0-1", null],
] as const)("%s of ten bytes", (range, expected) => {
  expect(requestedRange(range === undefined ? {} : { range }, 10)).toEqual(expected);
});

test("a condition we can't check gets all of it, and an empty file has no range", () => {
  expect(requestedRange({ range: "bytes=0-1", "if-range": '"etag"' }, 10)).toBeNull();
  expect(requestedRange({ range: "bytes=0-" }, 0)).toBe("unsatisfiable");
  expect(requestedRange({ range: "bytes=-5" }, 0)).toBe("unsatisfiable");
});
