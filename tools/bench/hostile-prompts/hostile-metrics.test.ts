import { expect, test } from "vitest";
import {
  addedP99Ms,
  type ChatMetrics,
  chatMetrics,
  type HostileRound,
  hostileMetrics,
  sumOfCounts,
} from "./hostile-metrics.ts";
import type { ChatSample } from "./small-chat.ts";

const answered = (ttftMs: number): ChatSample => ({ outcome: "answered", ttftMs });
const failed = (code: string): ChatSample => ({ outcome: "failed", code });

test("a chat that timed out counts with its whole time, one that failed in its count only", () => {
  const samples = [answered(10), answered(20), { outcome: "timed out" } as const, failed("a"), failed("a")];
  expect(chatMetrics(samples)).toEqual({
    requests: 5,
    ttftP50Ms: 20,
    ttftP99Ms: expect.closeTo(58_800, -3),
    ttftLongestMs: 60_000,
    timedOut: 1,
    failures: { a: 2 },
  });
});

test("without any first token there are no times", () => {
  const none = { ttftP50Ms: null, ttftP99Ms: null, ttftLongestMs: null };
  expect(chatMetrics([])).toMatchObject({ requests: 0, ...none });
  expect(chatMetrics([failed("ECONNREFUSED")])).toMatchObject({ ...none, failures: { ECONNREFUSED: 1 } });
});

test("hostile replies are counted by status and code", () => {
  const replies = [
    { status: 200, code: null, tookMs: 1 },
    { status: 400, code: "invalid_request", tookMs: 3 },
    { status: 400, code: "invalid_request", tookMs: 5 },
    { status: null, code: "ECONNRESET", tookMs: 7 },
  ];
  expect(hostileMetrics(replies)).toEqual({
    requests: 4,
    replies: { "200": 1, "400 invalid_request": 2, ECONNRESET: 1 },
    tookMedianMs: 4,
    tookLongestMs: 7,
  });
});

test("the added p99 is the median of the rounds' differences; a round without one of the two doesn't count", () => {
  const p99 = (ttftP99Ms: number | null): ChatMetrics => ({ ...chatMetrics([]), ttftP99Ms });
  const round = (alone: number | null, beside: number | null): HostileRound => ({
    alone: p99(alone),
    beside: p99(beside),
    hostile: hostileMetrics([]),
  });
  expect(addedP99Ms([round(10, 15), round(20, 90), round(5, 25), round(1, null)])).toBe(20);
  expect(addedP99Ms([round(null, 5)])).toBeNull();
});

test("counts of rounds are added up", () => {
  expect(sumOfCounts([{ a: 1 }, {}, { a: 2, b: 1 }])).toEqual({ a: 3, b: 1 });
});
