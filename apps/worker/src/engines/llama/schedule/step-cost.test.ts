import { RandomSource } from "@quern/testing/gguf/random-source";
import fc from "fast-check";
import { expect, test } from "vitest";
import { StepCost, type StepShape } from "./step-cost.ts";

/** A machine whose steps cost what the formula says, give or take `noise` of it. */
function learnFrom(
  cost: StepCost,
  machine: { passMs: number; rowMs: number; tokenMs: number; noise: number },
  { steps, seed }: { steps: number; seed: number },
): void {
  const source = new RandomSource(seed);
  const random = { next: () => source.uint32() / 2 ** 32 };
  for (let step = 0; step < steps; step += 1) {
    const passes = 1 + Math.floor(random.next() * 4);
    const rows = passes + Math.floor(random.next() * 13);
    const prefillTokens = random.next() < 0.3 ? 16 + Math.floor(random.next() * 200) : 0;
    const ms = passes * machine.passMs + rows * machine.rowMs + prefillTokens * machine.tokenMs;
    cost.learn({ passes, rows, prefillTokens }, ms * (1 + machine.noise * (2 * random.next() - 1)));
  }
}

test("learns what passes and rows cost, under noise, whatever it thought before", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.2, max: 20, noNaN: true }),
      fc.double({ min: 0.5, max: 8, noNaN: true }),
      fc.constantFrom(0.5, 12),
      fc.integer({ min: 1, max: 1000 }),
      (passMs, ratio, prior, seed) => {
        const cost = new StepCost(prior);
        const rowMs = passMs / ratio;
        learnFrom(cost, { passMs, rowMs, tokenMs: rowMs / 4, noise: 0.05 }, { steps: 600, seed });
        for (const [passes, rows] of [
          [1, 8],
          [4, 12],
        ] as const) {
          const ms = passes * passMs + rows * rowMs;
          const predictedMs = cost.predictMs({ passes, rows, prefillTokens: 0 }) as number;
          expect(Math.abs(predictedMs / ms - 1)).toBeLessThan(0.1);
        }
        expect(cost.rowsPerPass()).toBeGreaterThan(0.6 * ratio - 0.2);
        expect(cost.rowsPerPass()).toBeLessThan(1.5 * ratio + 0.2);
      },
    ),
    // How near an estimate comes is a matter of luck: always the same.
    { seed: 1, numRuns: 200 },
  );
});

test("learns what a token of a prompt costs", () => {
  const cost = new StepCost(4);
  learnFrom(cost, { passMs: 5, rowMs: 0.5, tokenMs: 0.3, noise: 0.05 }, { steps: 600, seed: 1 });
  expect(cost.prefillTokenMs()).toBeGreaterThan(0.27);
  expect(cost.prefillTokenMs()).toBeLessThan(0.33);
});

test("follows a machine that changes", () => {
  const cost = new StepCost(4);
  learnFrom(cost, { passMs: 10, rowMs: 1, tokenMs: 1, noise: 0.02 }, { steps: 500, seed: 1 });
  learnFrom(cost, { passMs: 2, rowMs: 3, tokenMs: 1, noise: 0.02 }, { steps: 900, seed: 2 });
  expect(cost.rowsPerPass()).toBeGreaterThan(0.4);
  expect(cost.rowsPerPass()).toBeLessThan(1);
});

test("before anything is measured it says what it was told, and predicts nothing", () => {
  const cost = new StepCost(7);
  expect(cost.rowsPerPass()).toBe(7);
  expect(cost.prefillTokenMs()).toBeNull();
  expect(cost.predictMs({ passes: 1, rows: 1, prefillTokens: 0 })).toBeNull();
});

test("steps of one shape are predicted as they were, and leave the ratio to the prior", () => {
  for (const prior of [0.5, 12]) {
    const cost = new StepCost(prior);
    const shape: StepShape = { passes: 1, rows: 4, prefillTokens: 0 };
    for (let step = 0; step < 1000; step += 1) cost.learn(shape, 20);
    expect(cost.predictMs(shape)).toBeCloseTo(20, 1);
    expect(cost.rowsPerPass()).toBeGreaterThan(prior * 0.9);
    expect(cost.rowsPerPass()).toBeLessThan(prior * 1.1);
  }
});

test("no measurement makes a cost negative or not a number", () => {
  const shapes = fc.record({
    passes: fc.integer({ min: 1, max: 8 }),
    rows: fc.integer({ min: 0, max: 32 }),
    prefillTokens: fc.constantFrom(0, 0, 1, 300),
  });
  const steps = fc.array(fc.tuple(shapes, fc.double({ min: 0, max: 1e5, noNaN: true })), { minLength: 1 });
  fc.assert(
    fc.property(steps, shapes, fc.constantFrom(0.5, 12), (measured, asked, prior) => {
      const cost = new StepCost(prior);
      for (const [shape, ms] of measured) cost.learn(shape, ms);
      const predicted = cost.predictMs(asked);
      if (predicted !== null) expect(predicted).toBeGreaterThanOrEqual(-1e-6);
      expect(cost.prefillTokenMs() ?? 0).toBeGreaterThanOrEqual(0);
      expect(cost.rowsPerPass()).toBeGreaterThanOrEqual(0);
    }),
  );
});
