import { expect, test } from "vitest";
import { DEMO_MODEL } from "../command/models.ts";
import { startBareEngine } from "./bare-engine.ts";
import { spanMetrics } from "./line-spans.ts";
import { reviewLines } from "./lines.ts";

const options = { slots: 4, contextTokens: 512, threads: 1 };

test("the engine alone runs every line, with its slots full", async () => {
  const stop = new AbortController();
  await using engine = await startBareEngine({ ...options, modelPath: DEMO_MODEL }, stop.signal);
  const spans = await engine.run(reviewLines("any", 60));
  expect(spans).toHaveLength(60);
  // A label, and the end of the turn.
  expect(spans.every(({ completionTokens }) => completionTokens >= 2)).toBe(true);
  // Answers of few tokens on a busy machine: between two of them a slot stands empty for a part of a step.
  expect(spanMetrics(spans, options.slots).busyShare).toBeGreaterThan(0.7);
});

test("a model that is none is told of, and no process stays", async () => {
  const stop = new AbortController();
  const starting = startBareEngine({ ...options, modelPath: import.meta.filename }, stop.signal);
  await expect(starting).rejects.toThrow(/bare engine can't go on/);
});
