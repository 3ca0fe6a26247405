import { expect, test } from "vitest";
import { pauseBeforeNextMs, retryAfterMs } from "./retry-schedule.ts";

const SCHEDULE = [0, 5, 300, 1_800];
const pause = (attemptsMade: number, askedForMs: number | null = null, random = 0.5) =>
  pauseBeforeNextMs(SCHEDULE, attemptsMade, askedForMs, () => random);

test("after each attempt comes the next pause of the schedule, a tenth more or less", () => {
  expect([1, 2, 3].map((made) => pause(made))).toEqual([5_000, 300_000, 1_800_000]);
  expect(pause(2, null, 0)).toBe(270_000);
  expect(pause(2, null, 1)).toBe(330_000);
});

test("a receiver may ask for a longer pause, up to a day, and for no shorter one", () => {
  expect(pause(1, 60_000)).toBe(60_000);
  expect(pause(2, 1_000)).toBe(300_000);
  expect(pause(1, 1e12)).toBe(86_400_000);
});

test.each([
  ["120", 120_000],
  [" 3 ", 3_000],
  ["Thu, 01 Jan 1970 00:01:40 GMT", 90_000],
  ["Thu, 01 Jan 1970 00:00:01 GMT", null],
  ["0", null],
  ["-5", null],
  ["soon", null],
  ["", null],
  [null, null],
])("Retry-After: %s", (header, expectedMs) => expect(retryAfterMs(header, 10_000)).toBe(expectedMs));
