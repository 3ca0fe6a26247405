import { expect, test } from "vitest";
import { ProgressMeter, type ProgressSample } from "./progress-meter.ts";

const sample = (second: number, ended: number, changes: Partial<ProgressSample> = {}): ProgressSample => ({
  atMs: second * 1_000,
  ended,
  outputTokens: ended * 10,
  total: 1_000,
  isPaused: false,
  ...changes,
});

/** What the last of the samples, a second apart, tells. */
function measured(ended: readonly number[], changes: Partial<ProgressSample> = {}) {
  const meter = new ProgressMeter();
  return ended.map((count, second) => meter.add(sample(second, count, changes))).at(-1);
}

test("nothing is told before there is something to tell it by", () => {
  expect(measured([0, 5, 10])).toBeNull();
  expect(measured([0, 0, 0, 0, 0])).toMatchObject({ linesPerSecond: 0, endAtMs: null });
});

test("an even pace ends when it says", () => {
  const even = Array.from({ length: 11 }, (_, second) => second * 10);
  expect(measured(even)).toEqual({
    measuredAtMs: 10_000,
    linesPerSecond: 10,
    outputTokensPerSecond: 100,
    endAtMs: { p50: 100_000, p90: 100_000 },
  });
});

test("an uneven one may end later", () => {
  const uneven = Array.from({ length: 11 }, (_, second) => Math.floor(second / 5) * 50);
  const { endAtMs } = measured(uneven) ?? {};
  expect(endAtMs?.p50).toBe(100_000);
  expect(endAtMs?.p90).toBeGreaterThan(120_000);
  expect(endAtMs?.p90).toBeLessThanOrEqual(10_000 + 90_000 * 4);
});

test("only the last half minute counts", () => {
  const stalled = Array.from({ length: 62 }, (_, second) => Math.min(second * 10, 300));
  expect(measured(stalled)).toMatchObject({ linesPerSecond: 0, endAtMs: null });
});

test("nobody knows when a paused batch ends", () => {
  expect(measured([0, 10, 20, 30, 40], { isPaused: true })).toMatchObject({
    linesPerSecond: 10,
    endAtMs: null,
  });
});
