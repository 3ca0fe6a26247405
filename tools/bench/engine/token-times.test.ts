import { expect, test } from "vitest";
import { spreadEvenly } from "./token-times.ts";

test("a whole answer is spread from its first token to its last", () => {
  expect(spreadEvenly(100, 130, 4)).toEqual([100, 110, 120, 130]);
  expect(spreadEvenly(100, 100, 1)).toEqual([100]);
});
