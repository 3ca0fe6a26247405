import fc from "fast-check";
import type { Llama } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grammarOf, grammarTakes, startLlama } from "../llama-grammar.fixture.ts";
import { integerRange, type NumberBounds, numberRange } from "./number-range.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await startLlama();
});
afterAll(() => llama.dispose());

const bound = (value: fc.Arbitrary<number>) => fc.option(value, { nil: null });
const boundsOf = (value: fc.Arbitrary<number>) =>
  fc.record({
    minimum: bound(value),
    maximum: bound(value),
    exclusiveMinimum: bound(value),
    exclusiveMaximum: bound(value),
  });

function within(value: number, bounds: NumberBounds): boolean {
  return (
    value >= (bounds.minimum ?? value) &&
    value <= (bounds.maximum ?? value) &&
    value > (bounds.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) &&
    value < (bounds.exclusiveMaximum ?? Number.POSITIVE_INFINITY)
  );
}

async function expectExactly(range: string | null, bounds: NumberBounds, values: number[]): Promise<void> {
  const takes =
    range === null
      ? () => false
      : await grammarTakes(
          llama,
          grammarOf(() => range),
        );
  for (const value of values)
    expect(takes(String(value)), `${value} in ${range}`).toBe(within(value, bounds));
}

test("whole numbers are taken exactly when they are within the bounds", async () => {
  const whole = fc.oneof(
    fc.integer({ min: -30, max: 30 }),
    fc.integer({ min: -1_100, max: 1_100 }),
    fc.maxSafeInteger(),
  );
  await fc.assert(
    fc.asyncProperty(
      boundsOf(whole),
      fc.array(whole, { minLength: 5, maxLength: 20 }),
      async (bounds, values) => {
        const besides = Object.values(bounds).flatMap((edge) =>
          edge === null ? [] : [edge - 1, edge, edge + 1],
        );
        const safe = [...values, ...besides].filter((value) => Number.isSafeInteger(value));
        await expectExactly(integerRange(bounds), bounds, safe);
      },
    ),
    { numRuns: 300 },
  );
});

test("decimals are taken exactly when they are within the bounds", async () => {
  const decimal = fc
    .tuple(fc.integer({ min: -2_500, max: 2_500 }), fc.constantFrom(1, 10, 100, 1_000))
    .map(([value, scale]) => value / scale + 0);
  await fc.assert(
    fc.asyncProperty(
      boundsOf(decimal),
      fc.array(decimal, { minLength: 5, maxLength: 20 }),
      async (bounds, values) => {
        const edges = Object.values(bounds).filter((edge) => edge !== null);
        await expectExactly(numberRange(bounds), bounds, [...values, ...edges]);
      },
    ),
    { numRuns: 300 },
  );
});

test("a bound that only an exponent can spell is refused", () => {
  const none = { minimum: null, maximum: null, exclusiveMinimum: null, exclusiveMaximum: null };
  expect(() => numberRange({ ...none, minimum: 1e-9 })).toThrow(RangeError);
  expect(numberRange({ ...none, minimum: 1e21 })).not.toBeNull();
});
