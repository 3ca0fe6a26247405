import { expect, test } from "vitest";
import type { RoundTrace } from "../engine/workload.ts";
import { prefixMetrics } from "./prefix-metrics.ts";

function round(jobs: { sentAtMs: number; endedAtMs: number; cachedTokens: number }[]): RoundTrace {
  const generations = jobs.map((job) => ({ ...job, tokenAtMs: [job.endedAtMs] }));
  return { generations, late: null, tokenTimes: "observed", cpuMs: 0, steps: null };
}

test("the share of system-prompt tokens that came from a cache; a job's own tokens don't count", () => {
  const { cachedShare } = prefixMetrics(
    round([
      { sentAtMs: 0, endedAtMs: 10, cachedTokens: 0 },
      { sentAtMs: 0, endedAtMs: 10, cachedTokens: 256 },
      { sentAtMs: 0, endedAtMs: 10, cachedTokens: 260 },
      { sentAtMs: 0, endedAtMs: 10, cachedTokens: 128 },
    ]),
    256,
  );
  expect(cachedShare).toBeCloseTo(2.5 / 4);
});

test("jobs a second are over the whole round", () => {
  const { jobsPerSecond } = prefixMetrics(
    round([
      { sentAtMs: 1_000, endedAtMs: 1_900, cachedTokens: 0 },
      { sentAtMs: 1_200, endedAtMs: 1_500, cachedTokens: 0 },
    ]),
    256,
  );
  expect(jobsPerSecond).toBeCloseTo(2 / 0.9);
});
