import { expect, test } from "vitest";
import { AheadRule } from "./ahead-rule.ts";

test("jobs are taken ahead where they are short, and not before one has shown it", () => {
  const rule = new AheadRule(8);
  expect(rule.jobs).toBe(0);
  rule.ended(200);
  expect(rule.jobs).toBe(8);
  for (let i = 0; i < 20; i++) rule.ended(60_000);
  expect(rule.jobs).toBe(0);
  for (let i = 0; i < 60; i++) rule.ended(200);
  expect(rule.jobs).toBe(8);
});
