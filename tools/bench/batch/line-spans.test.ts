import { expect, test } from "vitest";
import { readSpans, spanMetrics, spansOf } from "./line-spans.ts";

const batchId = "batch_01234567-89ab-7cde-8f01-23456789abcd";
const span = (slotAtMs: number, endedAtMs: number, completionTokens = 10) => ({
  slotAtMs,
  endedAtMs,
  completionTokens,
});

test("spans are read out of a worker's log, those of one batch and none of what came to no answer", () => {
  const line = (fields: object) => JSON.stringify({ time: "2026-11-01T00:00:10.000Z", ...fields });
  const answered = { total_ms: 1_000, waited_ms: 250, slot_ms: 700, completion_tokens: 9 };
  const log = [
    "not JSON",
    line({ job: `${batchId}-7`, ...answered }),
    line({ job: `${batchId}-8`, total_ms: 5 }), // parked: it runs again
    line({ job: "job_1", ...answered }),
    line({ batch: batchId, msg: "something else" }),
  ].join("\n");
  const slotAtMs = Date.parse("2026-11-01T00:00:09.250Z");
  expect(readSpans(log, batchId)).toEqual([{ slotAtMs, endedAtMs: slotAtMs + 700, completionTokens: 9 }]);
});

test("a log that tells of fewer lines is waited for, and read again", async () => {
  const line = (index: number) =>
    JSON.stringify({
      time: "2026-11-01T00:00:10.000Z",
      job: `${batchId}-${index}`,
      slot_ms: 1,
    });
  const logs = [line(0), `${line(0)}\n${line(1)}`];
  let reads = 0;
  const spans = await spansOf(() => logs[Math.min(reads++, 1)] as string, batchId, 2);
  expect({ spans: spans.length, reads }).toEqual({ spans: 2, reads: 2 });
});

test("two slots that are full until the last line begins are busy, whatever they do then", () => {
  const metrics = spanMetrics([span(0, 100), span(0, 60), span(60, 300), span(100, 110)], 2);
  expect(metrics).toEqual({ tokensPerSecond: (40 / 300) * 1_000, tookMs: 300, busyShare: 1 });
});

test("a slot that waits for its next line while there is one is idle", () => {
  // 100 ms of two slots until the last line begins, of which one stood empty for 40.
  const { busyShare } = spanMetrics([span(0, 150), span(0, 60), span(100, 120)], 2);
  expect(busyShare).toBeCloseTo(0.8);
});

test("one line fills what it can", () => {
  expect(spanMetrics([span(5, 15)], 8)).toEqual({ tokensPerSecond: 1_000, tookMs: 10, busyShare: 1 });
});
