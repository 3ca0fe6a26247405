import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TILE_TOKENS } from "../driver/driver.ts";
import type { Slot } from "../generation/slot.ts";
import { countRuns, planStep } from "./plan-step.ts";
import { type SlotState, slotsOf } from "./slots.fixture.ts";
import { StepCost } from "./step-cost.ts";
import { StreamPace } from "./stream-pace.ts";

const phases = fc.constantFrom<SlotState["phase"]>("idle", "waiting", "prefilling", "decoding");
const slotStates = fc.array(
  fc.record({
    phase: phases,
    pending: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 300 })),
    sinceMs: fc.integer({ min: 0, max: 20 }),
  }),
  { minLength: 1, maxLength: 24 },
);
const costs = fc
  .record({
    passMs: fc.double({ min: 0, max: 20, noNaN: true }),
    rowMs: fc.double({ min: 0.01, max: 5, noNaN: true }),
    tokenMs: fc.double({ min: 0.001, max: 5, noNaN: true }),
    steps: fc.constantFrom(0, 30),
  })
  .map(({ passMs, rowMs, tokenMs, steps }) => {
    const cost = new StepCost(4);
    for (let step = 0; step < steps; step += 1) {
      const [passes, rows] = [1 + (step % 3), 3 + (step % 5)];
      cost.learn({ passes, rows, prefillTokens: 0 }, passes * passMs + rows * rowMs);
      cost.learn({ passes, rows, prefillTokens: 50 }, passes * passMs + rows * rowMs + 50 * tokenMs);
    }
    return cost;
  });

/** `stepTokens` is never below the slots: `loadModel` sees to it. */
const situations = fc
  .tuple(slotStates, fc.integer({ min: 0, max: 512 }), costs)
  .map(([states, more, cost]) => ({ slots: slotsOf(states), stepTokens: states.length + more, cost }));

const phaseOf = (slot: Slot) => slot.running?.phase ?? "idle";
const pendingOf = (slot: Slot) => slot.running?.pending.length ?? 0;

describe("any plan", () => {
  test("keeps to the budget, in ascending order, each slot once, with no more than it has", () => {
    fc.assert(
      fc.property(situations, ({ slots, stepTokens, cost }) => {
        const plan = planStep(slots, stepTokens, cost, new StreamPace());
        const indexes = plan.map(({ slot }) => slot.index);
        expect(indexes).toEqual([...new Set(indexes)].sort((a, b) => a - b));
        // A bridge feeds one token.
        const fed = plan.reduce((sum, { tokens }) => sum + Math.max(1, tokens), 0);
        expect(fed).toBeLessThanOrEqual(stepTokens);
        for (const { slot, tokens } of plan) {
          expect(tokens).toBeLessThanOrEqual(pendingOf(slot));
          expect(tokens === 0).toBe(phaseOf(slot) === "idle");
          expect(phaseOf(slot)).not.toBe("waiting");
        }
      }),
    );
  });

  test("has every slot that decodes in it, with all it has as long as there is room", () => {
    fc.assert(
      fc.property(situations, ({ slots, stepTokens, cost }) => {
        const decoding = slots.filter((slot) => phaseOf(slot) === "decoding");
        const plan = new Map(
          planStep(slots, stepTokens, cost, new StreamPace()).map(({ slot, tokens }) => [slot, tokens]),
        );
        const wanted = decoding.reduce((sum, slot) => sum + pendingOf(slot), 0);
        const given = decoding.map((slot) => plan.get(slot) ?? 0);
        for (const tokens of given) expect(tokens).toBeGreaterThan(0);
        expect(given.reduce((sum, tokens) => sum + tokens, 0)).toBe(Math.min(wanted, stepTokens));
      }),
    );
  });

  test("gives prompts at least a chunk, the longest-waiting first", () => {
    fc.assert(
      fc.property(situations, ({ slots, stepTokens, cost }) => {
        const plan = new Map(
          planStep(slots, stepTokens, cost, new StreamPace()).map(({ slot, tokens }) => [slot, tokens]),
        );
        const decoded = slots
          .filter((slot) => phaseOf(slot) === "decoding")
          .reduce((sum, slot) => sum + (plan.get(slot) ?? 0), 0);
        const prompts = slots
          .filter((slot) => phaseOf(slot) === "prefilling")
          .sort((a, b) => (a.running?.slotAtMs ?? 0) - (b.running?.slotAtMs ?? 0) || a.index - b.index);
        const wanted = prompts.reduce((sum, slot) => sum + pendingOf(slot), 0);
        const given = prompts.map((slot) => plan.get(slot) ?? 0);
        const sum = given.reduce((total, tokens) => total + tokens, 0);
        expect(sum).toBeGreaterThanOrEqual(Math.min(wanted, stepTokens - decoded, TILE_TOKENS));
        // Who comes later gets something only when everyone before has got all.
        const firstShort = prompts.findIndex((slot, at) => (given[at] as number) < pendingOf(slot));
        if (firstShort !== -1) expect(given.slice(firstShort + 1).every((tokens) => tokens === 0)).toBe(true);
      }),
    );
  });

  test("bridges only whole gaps, and only for less than another pass costs", () => {
    fc.assert(
      fc.property(situations, ({ slots, stepTokens, cost }) => {
        const plan = planStep(slots, stepTokens, cost, new StreamPace());
        const asked = plan.filter(({ tokens }) => tokens > 0).map(({ slot }) => slot.index);
        const all = plan.map(({ slot }) => slot.index);
        const bridges = all.length - asked.length;
        const saved = countRuns(asked) - countRuns(all);
        if (bridges === 0) expect(saved).toBe(0);
        else expect(bridges).toBeLessThan(saved * cost.rowsPerPass());
        // Each bridge lies in a gap between two that were asked for, and the gap is closed.
        for (const { slot, tokens } of plan) {
          if (tokens > 0) continue;
          const before = asked.filter((index) => index < slot.index).at(-1) as number;
          const after = asked.find((index) => index > slot.index) as number;
          for (let index = before; index <= after; index += 1) expect(all).toContain(index);
        }
      }),
    );
  });
});

test("a prompt alone takes the whole budget", () => {
  const slots = slotsOf([{ phase: "idle" }, { phase: "prefilling", pending: 700 }]);
  expect(
    planStep(slots, 512, new StepCost(4), new StreamPace()).map(({ slot, tokens }) => [slot.index, tokens]),
  ).toEqual([[1, 512]]);
});

describe("a prompt beside a stream", () => {
  const slots = slotsOf([{ phase: "decoding" }, { phase: "prefilling", pending: 700 }]);

  /** A machine with steps of 10 ms, that knows what a token of a prompt costs. */
  function machine(tokenMs: number): StepCost {
    const cost = new StepCost(4);
    for (let step = 0; step < 200; step += 1) {
      cost.learn({ passes: 1, rows: 1 + (step % 2), prefillTokens: 0 }, 10);
      cost.learn({ passes: 1, rows: 1, prefillTokens: 100 }, 10 + 100 * tokenMs);
    }
    return cost;
  }
  /** What each of the next steps carries of the prompt. */
  function carried(tokenMs: number, steps: number): number[] {
    const cost = machine(tokenMs);
    const pace = new StreamPace();
    return Array.from({ length: steps }, () => {
      const prefillTokens = planStep(slots, 512, cost, pace)[1]?.tokens ?? 0;
      pace.stepped({ passes: 1, rows: 1, prefillTokens }, 10 + prefillTokens * tokenMs, cost);
      return prefillTokens;
    });
  }

  test("takes as many chunks as one and a half steps' time allows", () => {
    expect(carried(0.06, 3)).toEqual([192, 192, 192]);
  });

  test("takes one chunk where that costs more, and then leaves the stream the steps that it owes", () => {
    // 64 tokens take 38 ms: what two and a half steps may take longer.
    expect(carried(0.6, 7)).toEqual([64, 0, 0, 64, 0, 0, 64]);
  });

  test("takes one chunk before anything is known of its cost", () => {
    const [, prompt] = planStep(slots, 512, new StepCost(4), new StreamPace());
    expect(prompt?.tokens).toBe(64);
  });
});

test("a gap that the budget can't close is left as it is", () => {
  const slots = slotsOf([
    { phase: "decoding", pending: 7 },
    { phase: "idle" },
    { phase: "idle" },
    { phase: "decoding" },
    { phase: "idle" },
    { phase: "decoding" },
  ]);
  const planned = (stepTokens: number) =>
    planStep(slots, stepTokens, new StepCost(10), new StreamPace()).map(({ slot }) => slot.index);
  expect(planned(12)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(planned(11)).toEqual([0, 1, 2, 3, 5]);
  expect(planned(10)).toEqual([0, 3, 4, 5]);
  expect(planned(9)).toEqual([0, 3, 5]);
});

test("a gap is bridged where a pass costs more than its rows", () => {
  const slots = slotsOf([{ phase: "decoding" }, { phase: "idle" }, { phase: "idle" }, { phase: "decoding" }]);
  const planned = (rowsPerPass: number) =>
    planStep(slots, 512, new StepCost(rowsPerPass), new StreamPace()).map(({ slot }) => slot.index);
  expect(planned(2)).toEqual([0, 3]);
  expect(planned(2.5)).toEqual([0, 1, 2, 3]);
});
