import { expect, test } from "vitest";
import { cpuMsOf, ownCpuMs } from "./cpu-time.ts";

test("both ways of asking agree, to a tick", () => {
  // Some work, so that there is something to tell.
  let sum = 0;
  for (let i = 0; i < 3e7; i++) sum += Math.sqrt(i);
  expect(sum).toBeGreaterThan(0);
  const before = ownCpuMs();
  const asked = cpuMsOf(process.pid);
  const after = ownCpuMs();
  expect(before).toBeGreaterThan(0);
  // Ticks of user and of system time are both rounded down.
  expect(asked).toBeGreaterThan(before - 30);
  expect(asked).toBeLessThan(after + 30);
});

test("a process that is gone has none", () => {
  expect(() => cpuMsOf(2 ** 30)).toThrow("ENOENT");
});
