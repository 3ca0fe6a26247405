import { expect, test } from "vitest";
import { Arrivals } from "./arrivals.ts";

test("each arrival knows how many of its queue are on their way before it", () => {
  const arrivals = new Arrivals();
  const first = arrivals.begin("m", "interactive");
  const second = arrivals.begin("m", "interactive");
  expect([first.before, second.before]).toEqual([0, 1]);
  expect(arrivals.begin("m", "batch").before).toBe(0);
  expect(arrivals.begin("other", "interactive").before).toBe(0);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(arrivals.begin("m", "interactive").before).toBe(1);
});
