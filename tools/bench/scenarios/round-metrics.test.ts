import { describe, expect, test } from "vitest";
import type { GenerationTrace, RoundTrace } from "../engine/workload.ts";
import { medianMetrics, roundMetrics } from "./round-metrics.ts";

function generation(tokenAtMs: number[], sentAtMs = 0): GenerationTrace {
  return { sentAtMs, tokenAtMs, endedAtMs: tokenAtMs.at(-1) ?? sentAtMs, cachedTokens: 0 };
}

function round(generations: GenerationTrace[], rest: Partial<RoundTrace> = {}): RoundTrace {
  return { generations, late: null, tokenTimes: "observed", cpuMs: 0, steps: null, ...rest };
}

/** `count` times from `fromMs`, `everyMs` apart. */
function times(fromMs: number, everyMs: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => fromMs + index * everyMs);
}

describe("decoding speed", () => {
  test("two streams of a token per 10 ms are 200 tokens a second, prompts not counted", () => {
    const metrics = roundMetrics(round([generation(times(500, 10, 21)), generation(times(500, 10, 21))]), 2);
    expect(metrics.decodeTokensPerSecond).toBeCloseTo(200);
    expect(metrics.totalTokensPerSecond).toBeCloseTo(42 / 0.7);
    expect(metrics.tokens).toBe(42);
  });

  test("streams of one step that are told of a moment apart lose no token", () => {
    const staggered = [0, 0.1, 0.2, 0.3].map((apartMs) => generation(times(100 + apartMs, 10, 11)));
    expect(roundMetrics(round(staggered), 4).decodeTokensPerSecond).toBeCloseTo(400);
  });

  test("only the time in which all decode counts", () => {
    // Alone, the first stream is ten times faster.
    const first = generation([...times(0, 1, 10), ...times(10, 10, 10)]);
    const second = generation([...times(10, 10, 10), ...times(101, 1, 10)]);
    expect(roundMetrics(round([first, second]), 2).decodeTokensPerSecond).toBeCloseTo(200);
  });

  test("null when the streams hardly met", () => {
    const apart = [generation(times(0, 10, 11)), generation(times(90, 10, 11))];
    expect(roundMetrics(round(apart), 2).decodeTokensPerSecond).toBeNull();
    const never = [generation(times(0, 10, 5)), generation(times(90, 10, 5))];
    expect(roundMetrics(round(never), 2).decodeTokensPerSecond).toBeNull();
    expect(roundMetrics(round([generation([5])]), 1).decodeTokensPerSecond).toBeNull();
  });
});

test("time to first token and the longest gap are per stream", () => {
  const metrics = roundMetrics(
    round([generation([30, 40, 50], 10), generation([50, 60, 95, 96], 10)], { cpuMs: 14 }),
    2,
  );
  expect(metrics.ttftP50Ms).toBe(30);
  expect(metrics.ttftP99Ms).toBeCloseTo(39.8);
  expect(metrics.maxDecodeGapMs).toBe(35);
  expect(metrics.cpuMsPerToken).toBe(2);
});

test("what interpolated times can't tell is null", () => {
  const metrics = roundMetrics(round([generation(times(0, 10, 11))], { tokenTimes: "interpolated" }), 1);
  expect(metrics.decodeTokensPerSecond).toBeCloseTo(100);
  expect(metrics).toMatchObject({ ttftP50Ms: null, ttftP99Ms: null, maxDecodeGapMs: null });
});

describe("steps", () => {
  const step = (slots: number[], rows = slots.length, prefillTokens = 0) => ({
    slots,
    rows,
    prefillTokens,
    startedAtMs: 0,
    endedAtMs: 1,
  });

  test("fill and runs are means over the steps that decode", () => {
    const steps = [step([0], 0, 64), step([0, 1, 2, 3]), step([0, 2, 3]), step([1])];
    const metrics = roundMetrics(round([generation([1, 2])], { steps }), 4);
    expect(metrics.stepFill).toBeCloseTo((1 + 0.75 + 0.25) / 3);
    expect(metrics.idRunsPerStep).toBeCloseTo((1 + 2 + 1) / 3);
  });

  test("a slot that prefills, or fills a gap, is part of a run but no stream's row", () => {
    const metrics = roundMetrics(round([generation([1, 2])], { steps: [step([0, 1, 2], 2, 64)] }), 4);
    expect(metrics.stepFill).toBeCloseTo(0.5);
    expect(metrics.idRunsPerStep).toBe(1);
  });

  test("null when they can't be observed", () => {
    expect(roundMetrics(round([generation([1, 2])]), 4)).toMatchObject({
      stepFill: null,
      idRunsPerStep: null,
    });
  });
});

test("medians leave out rounds without a value", () => {
  const rounds = [10, 30, 20].map((everyMs) => roundMetrics(round([generation(times(0, everyMs, 11))]), 1));
  const speechless = { ...rounds[0], decodeTokensPerSecond: null } as (typeof rounds)[0];
  const medians = medianMetrics([...rounds, speechless]);
  expect(medians.decodeTokensPerSecond).toBeCloseTo(50);
  expect(medians.stepFill).toBeNull();
});
