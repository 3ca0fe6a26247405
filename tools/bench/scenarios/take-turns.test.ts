import { expect, test } from "vitest";
import type { RoundTrace } from "../engine/workload.ts";
import { takeTurns } from "./take-turns.ts";

function trace(cpuMs: number): RoundTrace {
  return { generations: [], late: null, tokenTimes: "observed", cpuMs, steps: null };
}

test("rounds alternate, and the warm-up is left out", async () => {
  const ran: string[] = [];
  const turn = (name: string, factor: number) => ({
    name,
    run: async (round: number) => {
      ran.push(`${name}${round}`);
      return trace(round * factor);
    },
  });
  const tell: string[] = [];
  const context = { stop: new AbortController().signal, tell: (line: string) => tell.push(line) };
  const traces = await takeTurns([turn("a", 1), turn("b", 10)], 2, context);
  expect(ran).toEqual(["a0", "b0", "a1", "b1", "a2", "b2"]);
  expect(traces.map((rounds) => rounds.map(({ cpuMs }) => cpuMs))).toEqual([
    [1, 2],
    [10, 20],
  ]);
  expect(tell).toContain("b: round 2 of 2");
});

test("no turn begins after a stop", async () => {
  const stop = new AbortController();
  let turns = 0;
  const run = async () => {
    turns += 1;
    stop.abort();
    return trace(0);
  };
  const context = { stop: stop.signal, tell: () => {} };
  await expect(takeTurns([{ name: "a", run }], 3, context)).rejects.toThrow();
  expect(turns).toBe(1);
});
