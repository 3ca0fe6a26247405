import { FIRST_DRIFT } from "@quern/shared/contract/rates";
import { expect, test } from "vitest";
import { DriftTracker } from "./drift-tracker.ts";

test("late jobs widen estimates at once, those in time narrow them slowly, within bounds", () => {
  const drift = new DriftTracker();
  expect(drift.current).toBe(FIRST_DRIFT);
  drift.began("late");
  const wider = drift.current;
  expect(wider).toBeGreaterThan(FIRST_DRIFT);
  for (let i = 0; i < 9; i++) drift.began("in_time");
  expect(drift.current).toBeCloseTo(FIRST_DRIFT, 9);
  for (let i = 0; i < 1_000; i++) drift.began("in_time");
  expect(drift.current).toBe(0.1);
  for (let i = 0; i < 1_000; i++) drift.began("late");
  expect(drift.current).toBe(1);
});

test("whatever the noise, it rests where one job in ten is late", () => {
  for (const noise of [0.2, 0.5]) {
    const drift = new DriftTracker();
    let late = 0;
    for (let i = 0; i < 5_000; i++) {
      // Evenly spread waits, as a share of the p50: late is what lies beyond p50 + 1.28 drifts.
      const error = noise * (2 * ((i * 0.618_033_988_749) % 1) - 1);
      const isLate = error > 1.28 * drift.current;
      drift.began(isLate ? "late" : "in_time");
      if (isLate && i >= 1_000) late += 1;
    }
    expect(late / 4_000).toBeGreaterThan(0.08);
    expect(late / 4_000).toBeLessThan(0.12);
  }
});
