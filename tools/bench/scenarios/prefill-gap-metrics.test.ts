import { expect, test } from "vitest";
import type { GenerationTrace, RoundTrace } from "../engine/workload.ts";
import { prefillGapMetrics } from "./prefill-gap-metrics.ts";

function generation(tokenAtMs: number[], sentAtMs = 0): GenerationTrace {
  return { sentAtMs, tokenAtMs, endedAtMs: tokenAtMs.at(-1) ?? sentAtMs, cachedTokens: 0 };
}

/** A token every 10 ms; a prompt at 25 ms makes two gaps of 40 and 50 ms; then 10 ms again, until one of 500 ms. */
const STREAM = generation([0, 10, 20, 60, 110, 120, 620]);
const LATE = generation([110, 120], 25);

function round(rest: Partial<RoundTrace> = {}): RoundTrace {
  return { generations: [STREAM], late: LATE, tokenTimes: "observed", cpuMs: 0, steps: null, ...rest };
}

test("gaps before, and while the prompt is computed; what comes after is not its doing", () => {
  expect(prefillGapMetrics(round())).toEqual({
    stepMs: 10,
    stepDuringPrefillMs: 45,
    longestGapMs: 50,
    chunkMs: null,
    lateTtftMs: 85,
  });
});

test("a gap that outlasts the prompt's first token counts whole", () => {
  expect(prefillGapMetrics(round({ late: generation([100], 25) })).longestGapMs).toBe(50);
});

test("chunks are the steps that compute a part of the late prompt", () => {
  const step = (startedAtMs: number, tookMs: number, prefillTokens: number) => ({
    slots: [0],
    rows: 1,
    prefillTokens,
    startedAtMs,
    endedAtMs: startedAtMs + tookMs,
  });
  const steps = [step(0, 7, 64), step(20, 5, 0), step(30, 30, 64), step(60, 50, 64), step(110, 9, 0)];
  expect(prefillGapMetrics(round({ steps })).chunkMs).toBe(40);
});

test("a round without a long prompt is a mistake", () => {
  expect(() => prefillGapMetrics(round({ late: null }))).toThrow("no gap");
});
