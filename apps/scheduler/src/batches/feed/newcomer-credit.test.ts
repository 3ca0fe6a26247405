import type { FeedState } from "@quern/shared/redis/feed-state";
import { expect, test } from "vitest";
import { newcomerCredit } from "./newcomer-credit.ts";

const feed = (tenant: string, live: number, liveTokens: number) => ({
  batch: { tenant },
  state: { live, liveTokens } as FeedState,
});
const even = { runningLines: 8, weightOf: (_: string) => 1 };
const credit = (feeds: ReturnType<typeof feed>[], waiting: string[], share = even) =>
  newcomerCredit("new", new Set([...waiting, "new"]), feeds, share);

test("what others have waiting, not what they run, is a newcomer's credit", () => {
  expect(credit([feed("old", 24, 2_400)], ["old"])).toBeCloseTo(1_600);
  expect(credit([feed("old", 8, 800)], ["old"])).toBe(0);
  expect(credit([], [])).toBe(0);
});

test("of several it is what each has on average, in all of its batches", () => {
  const feeds = [feed("a", 8, 800), feed("a", 4, 400), feed("b", 4, 400)];
  expect(credit(feeds, ["a", "b"])).toBeCloseTo(400);
});

test("who has nothing more to feed does not count", () => {
  expect(credit([feed("done", 24, 2_400)], [])).toBe(0);
});

test("its own lines are taken off, so that coming again gains nothing", () => {
  expect(credit([feed("old", 12, 1_200), feed("new", 12, 1_200)], ["old"])).toBe(0);
  expect(credit([feed("old", 20, 2_000), feed("new", 4, 400)], ["old"])).toBeCloseTo(933.33);
});

test("a tenant of twice the weight has twice the credit", () => {
  const weightOf = (tenant: string) => (tenant === "new" ? 2 : 1);
  expect(credit([feed("old", 24, 2_400)], ["old"], { runningLines: 8, weightOf })).toBeCloseTo(3_200);
});
