import { expect, test } from "vitest";
import { isTerminal, JOB_STATES, LIFECYCLE } from "./lifecycle.ts";

test("a terminal state is left by nothing, every other by something", () => {
  for (const state of JOB_STATES) {
    const leaves = Object.values(LIFECYCLE[state]).some((outcome) => typeof outcome === "object");
    expect(leaves, state).toBe(!isTerminal(state));
  }
});

test("every state is reached from the first one", () => {
  const reached = new Set(["queued"]);
  for (const from of reached) {
    for (const outcome of Object.values(LIFECYCLE[from as keyof typeof LIFECYCLE])) {
      if (typeof outcome === "object") reached.add(outcome.to);
    }
  }
  expect([...reached].sort()).toEqual([...JOB_STATES].sort());
});
