import { expect, test } from "vitest";
import { readOptions } from "./options.ts";
import { Random } from "./random.ts";
import { percentile } from "./table.ts";

test("a run is short unless told, and its seed is the time", () => {
  expect(readOptions([], 1_234)).toMatchObject({ seed: 1_234, workers: 3, keepIn: null });
  expect(readOptions(["--long", "--seed", "7", "--jobs", "50"], 1_234)).toMatchObject({
    seed: 7,
    jobs: 50,
    workers: 4,
  });
});

test.each([
  [["--seed", "x"]],
  [["--jobs", ""]],
  [["--minutes", "-1"]],
  [["--sed", "1"]],
  [["--at-once", "x"]],
])("%j is refused", (args) => {
  expect(() => readOptions(args, 0)).toThrow(/--/);
});

test("a seed gives the same choices again", () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return [random.shuffled([1, 2, 3, 4, 5, 6, 7, 8]), random.between(5, 9), random.fork().below(1_000)];
  };
  expect(draw(3)).toEqual(draw(3));
  expect(draw(3)).not.toEqual(draw(4));
});

test("percentiles by nearest rank", () => {
  const values = [5, 1, 3, 2, 4];
  expect([0.5, 0.99, 0.2].map((share) => percentile(values, share))).toEqual([3, 5, 1]);
  expect(percentile([], 0.5)).toBeNaN();
});
