import type { Moments, WorkerRates } from "@quern/shared/contract/rates";
import { expect, test } from "vitest";
import { type QueueAhead, timeOfJob, timeToStart } from "./estimator.ts";
import {
  MEDIAN,
  NINE_IN_TEN,
  ONE_IN_TEN,
  quantileMs,
  remainingQuantileMs,
  strayed,
  type TimeMs,
} from "./lognormal.ts";
import { poolRates } from "./pooled-rates.ts";

/** Values that were measured often: what little is known of few of them does not count. */
const measured = (mean: number, deviation = 0): Moments => ({
  count: 10_000,
  mean,
  variance: deviation ** 2,
});

function rates(occupancyMs: Moments, changes: Partial<WorkerRates> = {}): WorkerRates {
  const load = {
    prefillMsPerToken: measured(1),
    decodeMsPerToken: measured(20),
    overheadMs: measured(5),
    occupancyMs: { interactive: occupancyMs, batch: null },
  };
  const length = (mean: number) => ({ ...measured(mean), p50: mean, p90: mean });
  return {
    light: load,
    full: load,
    lengths: {
      interactive: {
        tokensPerCharacter: measured(0.25),
        completionTokens: length(100),
        completionShare: null,
      },
      batch: null,
    },
    dispatchMs: measured(10),
    drift: 0.15,
    ...changes,
  };
}

function ahead(changes: Partial<QueueAhead> = {}): QueueAhead {
  return {
    slots: 4,
    reservedSlots: 0,
    running: { interactive: 4, batch: 0 },
    waiting: { interactive: 0, batch: 0 },
    ...changes,
  };
}

const startOf = (
  jobClass: "interactive" | "batch",
  changes: Partial<QueueAhead>,
  occupancy = measured(1_000, 500),
) => timeToStart(jobClass, ahead(changes), rates(occupancy)) as TimeMs;

/** Jobs of `mean` that differ by `deviation`, in slots that are at random points of theirs: waits until the k-th end. */
function simulatedWaits(slots: number, endsNeeded: number, mean: number, deviation: number): number[] {
  let state = 42;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const job = () => {
    const normal = Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
    const square = Math.log(1 + (deviation / mean) ** 2);
    return Math.exp(Math.log(mean) - square / 2 + Math.sqrt(square) * normal);
  };
  return Array.from({ length: 2_000 }, () => {
    const since = 20 * mean * (1 + random());
    const ends: number[] = [];
    for (let slot = 0; slot < slots; slot++) {
      for (let at = mean * random(); at < since + (2 * (endsNeeded + 2) * mean) / slots + 9 * mean; ) {
        at += job();
        if (at > since) ends.push(at - since);
      }
    }
    return ends.sort((a, b) => a - b)[endsNeeded - 1] as number;
  });
}

test.each([
  { slots: 1, waiting: 0, deviation: 0.5 },
  { slots: 1, waiting: 9, deviation: 0.5 },
  { slots: 4, waiting: 0, deviation: 0.2 },
  { slots: 4, waiting: 3, deviation: 1 },
  { slots: 8, waiting: 40, deviation: 0.5 },
  { slots: 8, waiting: 200, deviation: 1 },
])("simulated queues keep to the estimate: $slots slots, $waiting in front, spread $deviation", (queue) => {
  const { slots, deviation } = queue;
  const changes = {
    slots,
    running: { interactive: slots, batch: 0 },
    waiting: { interactive: queue.waiting, batch: 0 },
  };
  const time = startOf("interactive", changes, measured(1_000, deviation * 1_000));
  const waits = simulatedWaits(slots, queue.waiting + 1, 1_000, deviation * 1_000);
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  expect(time.meanMs / mean).toBeGreaterThan(0.85);
  expect(time.meanMs / mean).toBeLessThan(1.3);
  const before = (share: number) => waits.filter((wait) => wait <= quantileMs(time, share)).length / 2_000;
  // The drift of speeds, which the simulation has not, makes the estimate wider, never narrower.
  expect(before(NINE_IN_TEN)).toBeGreaterThan(0.87);
  expect(before(ONE_IN_TEN)).toBeLessThan(0.2);
});

test("a free slot needs no end of another job; the jobs in front take free slots first", () => {
  expect(startOf("interactive", { running: { interactive: 3, batch: 0 } }).meanMs).toBe(10);
  const waiting = { interactive: 2, batch: 0 };
  expect(startOf("interactive", { running: { interactive: 1, batch: 0 }, waiting }).meanMs).toBe(10);
  expect(startOf("interactive", { running: { interactive: 2, batch: 0 }, waiting }).meanMs).toBeGreaterThan(
    150,
  );
});

test("batch jobs wait for both classes and for reserved slots; interactive ones go before them", () => {
  const running = { interactive: 0, batch: 4 };
  expect(startOf("interactive", { running }).meanMs).toBe(10);
  expect(startOf("batch", { running }).meanMs).toBeGreaterThan(150);
  const reserved = { running: { interactive: 3, batch: 0 }, reservedSlots: 1 };
  expect(startOf("interactive", reserved).meanMs).toBe(10);
  expect(startOf("batch", reserved).meanMs).toBeGreaterThan(150);
  const behind = { waiting: { interactive: 8, batch: 0 } };
  expect(startOf("batch", behind).meanMs).toBeGreaterThan(2_000);
});

test("a job's own time grows with its prompt and with what it may say", () => {
  const steady = rates(measured(1_000), { drift: 1e-9 });
  const time = (promptCharacters: number, maxTokens: number | null) =>
    (timeOfJob("interactive", { promptCharacters, maxTokens }, ahead(), steady) as TimeMs).meanMs;
  expect(time(400, null)).toBeCloseTo(5 + 100 + 2_000, 6);
  expect(time(4_000, null)).toBeCloseTo(5 + 1_000 + 2_000, 6);
  expect(time(400, 10)).toBeCloseTo(5 + 100 + 200, 6);
  expect(time(400, 1_000)).toBeCloseTo(5 + 100 + 2_000, 6);
});

test("answers that use up what is allowed are as long as is allowed", () => {
  const known = rates(measured(1_000), { drift: 1e-9 });
  const lengths = known.lengths.interactive;
  const tokens = { ...measured(100, 80), p50: 90, p90: 200 };
  const share = { ...measured(0.9, 0.1), p50: 0.9, p90: 1 };
  known.lengths.interactive = {
    tokensPerCharacter: lengths?.tokensPerCharacter ?? null,
    completionTokens: tokens,
    completionShare: share,
  };
  const time = timeOfJob("interactive", { promptCharacters: 0, maxTokens: 1_000 }, ahead(), known);
  expect(time?.meanMs).toBeCloseTo(5 + 900 * 20, 6);
});

test("without a measurement under full load the estimate is slower, and reaches from no slowdown to all of it", () => {
  const known = rates(measured(100), { full: null });
  const time = timeToStart("interactive", ahead({ waiting: { interactive: 39, batch: 0 } }), known) as TimeMs;
  expect(quantileMs(time, ONE_IN_TEN)).toBeGreaterThan(1_000);
  expect(time.meanMs).toBeGreaterThan(1_900);
  expect(quantileMs(time, NINE_IN_TEN)).toBeLessThan(4_500);
});

test("nothing measured, no estimate", () => {
  const known = rates(measured(1_000), { light: null, full: null });
  expect(timeToStart("interactive", ahead(), known)).toBeNull();
  expect(timeOfJob("interactive", { promptCharacters: 1, maxTokens: 1 }, ahead(), known)).toBeNull();
});

test("the longer a job has run, the more of its like have ended: what is left shrinks, then stays", () => {
  const time = { meanMs: 1_000, variance: 300 ** 2 };
  const left = [0, 500, 900].map((elapsedMs) => remainingQuantileMs(time, elapsedMs, 0.5));
  expect(left[0]).toBeCloseTo(quantileMs(time, 0), -1);
  expect(left).toEqual(left.toSorted((a, b) => b - a));
  expect(remainingQuantileMs(time, -300_000, 0.5)).toBe(left[0]);
  expect(remainingQuantileMs(time, 900, 0.9)).toBeGreaterThan(left[2] ?? 0);
  expect(remainingQuantileMs(time, 1e9, 0.9)).toBe(0);
});

test("speeds that stray make a time wider and leave its middle where it is", () => {
  const time = { meanMs: 1_000, variance: 300 ** 2 };
  const wider = strayed(time, 0.5);
  expect(quantileMs(wider, MEDIAN)).toBeCloseTo(quantileMs(time, MEDIAN), 6);
  expect(quantileMs(wider, NINE_IN_TEN)).toBeGreaterThan(1.3 * quantileMs(time, NINE_IN_TEN));
  expect(quantileMs(wider, ONE_IN_TEN)).toBeLessThan(quantileMs(time, ONE_IN_TEN) / 1.3);
});

test("each value counts alike, whichever worker measured it", () => {
  const slow = rates({ count: 10, mean: 3_000, variance: 0 });
  const fast = rates({ count: 30, mean: 1_000, variance: 0 });
  expect(poolRates([])).toBeNull();
  expect(poolRates([null, slow])).toEqual(slow);
  expect(poolRates([slow, null, fast])?.full?.occupancyMs.interactive).toEqual({
    count: 40,
    mean: 1_500,
    variance: 750_000,
  });
});

test("whatever was measured, even that nothing took any time, a time is a number", () => {
  const none = measured(0);
  const length = { ...none, p50: 0, p90: 0 };
  const load = {
    prefillMsPerToken: none,
    decodeMsPerToken: none,
    overheadMs: none,
    occupancyMs: { interactive: none, batch: none },
  };
  const lengths = { tokensPerCharacter: none, completionTokens: length, completionShare: length };
  const timeless = {
    light: load,
    lengths: { interactive: lengths, batch: null },
    dispatchMs: none,
    drift: 0.2,
  };
  for (const full of [load, null]) {
    const known: WorkerRates = { ...timeless, full };
    for (const jobClass of ["interactive", "batch"] as const) {
      const waiting = ahead({ waiting: { interactive: 9, batch: 0 } });
      const times = [
        timeToStart(jobClass, waiting, known),
        timeOfJob(jobClass, { promptCharacters: 40, maxTokens: 10 }, waiting, known),
      ];
      for (const time of times) expect(quantileMs(time as TimeMs, NINE_IN_TEN)).toBeGreaterThanOrEqual(0);
    }
  }
});
