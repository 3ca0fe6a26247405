import { expect, test } from "vitest";
import { spreadEvenly, spreadOverChunks } from "./token-times.ts";

test("a chunk for each token: its own time", () => {
  expect(spreadOverChunks([1, 2, 4, 8], 4)).toEqual([1, 2, 4, 8]);
});

test("fewer chunks than tokens: the ends are kept, every chunk is used", () => {
  const times = spreadOverChunks([10, 20, 30], 6);
  expect(times).toHaveLength(6);
  expect(times.at(0)).toBe(10);
  expect(times.at(-1)).toBe(30);
  expect(new Set(times)).toEqual(new Set([10, 20, 30]));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test("edges: no chunk, one chunk, one token", () => {
  expect(spreadOverChunks([], 3)).toEqual([]);
  expect(spreadOverChunks([5], 3)).toEqual([5, 5, 5]);
  expect(spreadOverChunks([5], 1)).toEqual([5]);
});

test("a whole answer is spread from its first token to its last", () => {
  expect(spreadEvenly(100, 130, 4)).toEqual([100, 110, 120, 130]);
  expect(spreadEvenly(100, 100, 1)).toEqual([100]);
});
