import { join } from "node:path";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { expect, test } from "vitest";
import { startEngine } from "./running-engine.fixture.ts";

// Promise: a long prompt neither stops the streams beside it nor outlives its cancellation.

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");

const LONG = generationRequest({
  messages: [{ role: "user", content: "Tell me all that you know of rivers, hills and towns. ".repeat(80) }],
  maxTokens: 4,
});
/** Says 200 tokens, whatever they are. */
const STREAM = generationRequest({
  messages: [{ role: "user", content: "Tell me a story about a dog." }],
  sampling: { temperature: 1.5 },
  logitBias: [0, 1, 2].map((token) => ({ token: 2_551 + token, bias: -100 })),
  maxTokens: 200,
});

test("every stream gets a token in each step that carries a part of a prompt", async () => {
  await using engine = await startEngine(TINY, { slots: 4, contextTokens: 2_048 });
  const streams = [1, 2, 3].map((seed) => engine.generate({ ...STREAM, seed }));
  const { promise: long, resolve } = Promise.withResolvers<unknown>();
  let isAsked = false;
  engine.onStep(({ rows, prefillTokens }) => {
    if (isAsked || rows < 3 || prefillTokens > 0) return;
    isAsked = true;
    resolve(engine.generate(LONG).done);
  });
  await Promise.all([long, ...streams.map(({ done }) => done)]);
  const carrying = engine.steps.filter(({ prefillTokens, rows }) => prefillTokens > 0 && rows > 0);
  expect(carrying.length).toBeGreaterThan(3);
  for (const { rows } of carrying.slice(0, -1)) expect(rows).toBe(3);
});

test("a cancel during a long prompt frees its slot with the step that runs", async () => {
  await using engine = await startEngine(TINY, { slots: 1, contextTokens: 2_048 });
  const long = engine.generate(LONG);
  engine.onStep(() => engine.engine.cancel(long.id));
  const { result, usage } = await long.done;
  expect(result).toMatchObject({ text: "", finishReason: null });
  expect(usage.promptTokens).toBeGreaterThan(1_000);
  expect(engine.steps.map(({ prefillTokens }) => prefillTokens)).toEqual([512]);
  expect((await engine.generate({ ...STREAM, maxTokens: 5 }).done).usage.completionTokens).toBe(5);
});

test("what a cancelled prompt has computed serves the next one that begins alike", async () => {
  await using engine = await startEngine(TINY, { slots: 1, contextTokens: 2_048 });
  const long = engine.generate(LONG);
  engine.onStep(() => engine.engine.cancel(long.id));
  await long.done;
  expect((await engine.generate(LONG).done).usage.cachedTokens).toBe(512);
});
