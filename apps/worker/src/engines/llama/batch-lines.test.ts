import { join } from "node:path";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { expect, test } from "vitest";
import { startEngine } from "./running-engine.fixture.ts";

// Requests that nobody waits for, beside those that somebody does.

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");

/** Long enough to be still running when others come. */
const tale = (maxTokens: number) =>
  generationRequest({
    messages: [{ role: "user", content: "Tell me a story." }],
    templateOptions: { enable_thinking: false },
    logitBias: [],
    maxTokens,
  });

test("those that wait for a slot get one before lines of a batch, which leave the reserve free", async () => {
  await using engine = await startEngine(TINY, { slots: 2 });
  const order = { rank: 1, leaveFree: 1 };
  const lines = Array.from({ length: 3 }, () => engine.generateUnfollowed(tale(40), order));
  const interactive = engine.generate(tale(20));
  const [first, second] = await Promise.all([...lines, interactive].map(({ done }) => done));
  const asked = await interactive.done;
  // One slot for the lines, one after the other; the other one for whoever asks.
  expect(engine.steps.every(({ slots }) => slots.length <= 2)).toBe(true);
  expect(second?.timings.slotAtMs).toBeGreaterThanOrEqual(first?.timings.endedAtMs ?? 0);
  expect(asked.timings.slotAtMs).toBeLessThan(first?.timings.endedAtMs ?? 0);
});

test("an answer that nobody follows comes with its end; broken off it is told as far as it came", async () => {
  let nowMs = 0;
  await using engine = await startEngine(TINY, { slots: 1 }, () => {
    nowMs += 1;
    return nowMs;
  });
  const whole = engine.generateUnfollowed(tale(12));
  const followed = engine.generate(tale(12));
  const { result } = await whole.done;
  expect(whole.deltas).toEqual([]);
  expect(result).toEqual((await followed.done).result);
  expect(followed.deltas.length).toBeGreaterThan(0);

  const cut = engine.generateUnfollowed(tale(900));
  engine.onStep(() => engine.engine.cancel(cut.id));
  const { result: beginning } = await cut.done;
  expect(cut.deltas.map(({ text = "" }) => text).join("")).toBe(beginning.text);
});
