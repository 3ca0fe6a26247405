import { expect, test } from "vitest";
import { type EtaSample, etaMetrics } from "./eta-metrics.ts";

const sample = (startedAtMs: number, endedAtMs: number): EtaSample => ({
  estimate: {
    madeAtMs: 1_000,
    endsBefore: 1,
    startAtMs: { p50: 2_000, p90: 3_000 },
    endAtMs: { p50: 4_000, p90: 5_000 },
  },
  startedAtMs,
  endedAtMs,
});

test("shares of jobs that were earlier, and how far the middle was off", () => {
  const metrics = etaMetrics([
    sample(1_500, 3_000),
    sample(2_000, 4_500),
    sample(2_500, 4_750),
    sample(5_000, 6_000),
  ]);
  expect(metrics).toMatchObject({ jobs: 4, waitP50Ms: 1_250 });
  expect(metrics.start).toMatchObject({ beforeP50: 0.5, beforeP90: 0.75, width: 2 });
  // Off by 500 of 500, 0, 500 of 1,500 and 3,000 of 4,000 ms.
  expect(metrics.start.medianError).toBeCloseTo((1 / 3 + 3 / 4) / 2, 6);
  expect(metrics.end).toMatchObject({ beforeP50: 0.25, beforeP90: 0.75 });
});
