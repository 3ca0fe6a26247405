import { expect, test } from "vitest";
import { cpuOf, ownCpu } from "./cpu-time.ts";

test("both ways of asking agree, to a tick", () => {
  // Some work, so that there is something to tell.
  let sum = 0;
  for (let i = 0; i < 3e7; i++) sum += Math.sqrt(i);
  expect(sum).toBeGreaterThan(0);
  const beforeMs = ownCpu.nowMs();
  const askedMs = cpuOf(process.pid).nowMs();
  const afterMs = ownCpu.nowMs();
  expect(beforeMs).toBeGreaterThan(0);
  // Ticks of user and of system time are both rounded down.
  expect(askedMs).toBeGreaterThan(beforeMs - 30);
  expect(askedMs).toBeLessThan(afterMs + 30);
});

test("a process that is gone has none", () => {
  expect(() => cpuOf(2 ** 30).nowMs()).toThrow("ENOENT");
});
