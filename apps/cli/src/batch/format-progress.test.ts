import { expect, test } from "vitest";
import { formatDuration, paceText, statusText } from "./format-progress.ts";

test("durations in the unit that tells something", () => {
  expect([3, 89, 90, 600, 5_399, 5_400, 90_000].map(formatDuration)).toEqual([
    "3 s",
    "89 s",
    "2 min",
    "10 min",
    "90 min",
    "1.5 h",
    "25.0 h",
  ]);
});

test("how fast, and until when, as far as it is known", () => {
  const measured = { lines_per_second: 1_234.5, output_tokens_per_second: 9.87 };
  const at = (estimated_end_at: { p50: number; p90: number } | null) =>
    paceText({ progress: { ...measured, estimated_end_at } }, 1_000_000);
  expect(paceText({ progress: null }, 1_000_000)).toBe("");
  expect(at(null)).toBe("1,235 lines/s, 9.9 tok/s");
  expect(at({ p50: 1_060, p90: 4_600 })).toBe("1,235 lines/s, 9.9 tok/s, 60 s to 60 min left");
  expect(at({ p50: 990, p90: 1_000 })).toBe("1,235 lines/s, 9.9 tok/s, 0 s left");
});

test("a paused batch says so while it is in progress", () => {
  expect(statusText({ status: "in_progress", paused_at: 1 })).toBe("paused");
  expect(statusText({ status: "in_progress", paused_at: null })).toBe("in_progress");
  expect(statusText({ status: "cancelled", paused_at: 1 })).toBe("cancelled");
  expect(statusText({ status: "validating", awaited_model: "qwen3-8b" })).toBe(
    "waiting for a worker of qwen3-8b",
  );
});
