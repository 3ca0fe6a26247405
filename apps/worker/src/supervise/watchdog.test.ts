import { expect, test } from "vitest";
import { Watchdog } from "./watchdog.ts";

/** The first of so many checks that finds a hang. */
function hangsAfter(watchdog: Watchdog, checks: number): number | null {
  for (let check = 1; check <= checks; check++) if (watchdog.check() !== null) return check;
  return null;
}

test("pending work without a step is a hang once the time is over, and not before", () => {
  const watchdog = new Watchdog(30_000);
  watchdog.began("steps");
  expect(hangsAfter(watchdog, 100)).toBe(31);
  expect(watchdog.check()).toMatch(/^no step ended for 32 s with 1 requests pending$/);
});

test("an idle engine never hangs, and its silence does not count against the next request", () => {
  const watchdog = new Watchdog(30_000);
  expect(hangsAfter(watchdog, 1_000)).toBeNull();
  watchdog.began("steps");
  expect(hangsAfter(watchdog, 30)).toBeNull();
  watchdog.ended("steps");
  expect(hangsAfter(watchdog, 1_000)).toBeNull();
});

test("a slow engine that ends its steps is left alone", () => {
  const watchdog = new Watchdog(30_000);
  watchdog.began("steps");
  for (let step = 0; step < 20; step++) {
    expect(hangsAfter(watchdog, 29)).toBeNull();
    watchdog.progressed("steps", null);
  }
});

test("a long step that was announced gets ten times what was expected, the step after it no more than usual", () => {
  const watchdog = new Watchdog(30_000);
  watchdog.began("steps");
  watchdog.progressed("steps", 20_000);
  expect(hangsAfter(watchdog, 200)).toBeNull();
  watchdog.progressed("steps", null);
  expect(hangsAfter(watchdog, 100)).toBe(31);
});

test("vectors that are made do not hide a step loop that hangs", () => {
  const watchdog = new Watchdog(5_000);
  watchdog.began("steps");
  watchdog.began("embeddings");
  for (let second = 0; second < 5; second++) {
    expect(watchdog.check()).toBeNull();
    watchdog.progressed("embeddings", null);
  }
  expect(watchdog.check()).toMatch(/^no step/);
});
