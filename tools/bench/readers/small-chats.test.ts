import { expect, test } from "vitest";
import { chatMetrics } from "./small-chats.ts";

test("the first chunk of each chat is its TTFT, the distances between the others are gaps", () => {
  const metrics = chatMetrics([{ chunkAtMs: [10, 12, 16] }, { chunkAtMs: [30] }, { chunkAtMs: [] }]);
  expect(metrics).toMatchObject({ ttftP50Ms: 20, gapP50Ms: 3 });
  expect(metrics.ttftP99Ms).toBeCloseTo(29.8);
  expect(metrics.gapP99Ms).toBeCloseTo(3.98);
});

test("chats of which nothing arrived have no figures", () => {
  expect(chatMetrics([])).toEqual({ ttftP50Ms: null, ttftP99Ms: null, gapP50Ms: null, gapP99Ms: null });
});
