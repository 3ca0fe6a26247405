import { expect, test } from "vitest";
import { waitMetrics } from "./wait-metrics.ts";

const line = (job: string, waited_ms: number, ttft_ms: number) => JSON.stringify({ job, waited_ms, ttft_ms });

test("the waits of the jobs that were asked for, out of a worker's log", () => {
  const log = ["not JSON", line("a", 1, 5), line("b", 3, 9), line("other", 99, 99), '{"msg":"x"}'].join("\n");
  expect(waitMetrics(log, ["a", "b"])).toEqual({
    waitP50Ms: 2,
    waitP99Ms: 2.98,
    ttftP50Ms: 7,
    ttftP99Ms: 8.96,
  });
});

test("a job that the log does not tell of is an error, not a figure left out", () => {
  expect(() => waitMetrics(line("a", 1, 5), ["a", "b"])).toThrow(/1 of 2/);
});
