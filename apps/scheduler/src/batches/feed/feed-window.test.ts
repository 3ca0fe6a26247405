import { expect, test } from "vitest";
import { CompletionRate, runningLines, windowLines } from "./feed-window.ts";

const worker = (slots: number, reservedSlots = 0, batchSlots: number | null = slots - reservedSlots) => ({
  slots,
  reservedSlots,
  batchSlots,
});

test.each([
  ["no worker", [], 0, 16],
  ["a worker of one slot", [worker(1)], 0, 9],
  ["a worker of eight slots", [worker(8)], 0, 16],
  ["slots that batch jobs leave free", [worker(16, 2)], 0, 28],
  ["a worker that does not say how many batch jobs it runs", [worker(16, 2, null)], 0, 28],
  ["two workers", [worker(16), worker(8)], 0, 48],
  ["an embedding model, whose jobs take no slots", [worker(1, 0, 16)], 0, 32],
  ["lines that end faster than looks are taken", [worker(8)], 1, 66],
  ["the bound", [worker(512)], 100, 512],
])("%s", (_, workers, linesPerMs, lines) => {
  expect(windowLines(workers, linesPerMs, 25)).toBe(lines);
});

test("what runs at a time is never below what workers have", () => {
  expect(runningLines([worker(4, 3), worker(2)])).toBe(3);
});

test("the rate follows what ends, and forgets what ended long ago", () => {
  const rate = new CompletionRate();
  for (let look = 0; look < 200; look++) rate.add(5, 25);
  expect(rate.linesPerMs).toBeCloseTo(0.2, 2);
  for (let look = 0; look < 40; look++) rate.add(0, 250);
  expect(rate.linesPerMs).toBeLessThan(0.001);
});
