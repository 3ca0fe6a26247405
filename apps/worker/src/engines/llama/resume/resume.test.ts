import { join } from "node:path";
import type { GenerationRequest, GenerationResult } from "@quern/shared/contract/generation";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import {
  addDelta,
  nothingPublished,
  type PublishedChoice,
  publishedChoices,
} from "@quern/shared/contract/published-choice";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Delta } from "../../../protocol/delta.ts";
import { type RunningEngine, startEngine } from "../running-engine.fixture.ts";

// Promise: wherever an attempt is cut off, the next one goes on behind what was published: no text twice, none missing,
// and the result and its usage are those of an attempt that was not cut.

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");

let engine: RunningEngine;
beforeAll(async () => {
  // A clock that leaps, so that every token is sent by itself.
  let nowMs = 0;
  engine = await startEngine(TINY, { slots: 4 }, () => {
    nowMs += 1_000;
    return nowMs;
  });
});
afterAll(() => engine[Symbol.asyncDispose]());

const THINKS = { templateOptions: { enable_thinking: true } };
const PLAIN = { templateOptions: { enable_thinking: false } };
const CAPITAL = "What is the capital of France?";
const weather = [
  {
    type: "function" as const,
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 150 } },
  required: ["name", "age"],
  additionalProperties: false,
};

const requests: Record<string, Partial<GenerationRequest>> = {
  "a plain answer": PLAIN,
  "a thought and an answer": THINKS,
  "a thought that is closed by force": { ...THINKS, thinkingBudgetTokens: 6 },
  "an answer that a stop string ends": { ...PLAIN, stop: ["is Par"] },
  "an answer that seems to begin a stop string": { ...PLAIN, stop: ["capital of Germany", "is Q"] },
  "an answer that is cut at its length": { ...THINKS, maxTokens: 9 },
  "log-probabilities": { ...THINKS, topLogprobs: 2 },
  "log-probabilities before a stop string": { ...PLAIN, topLogprobs: 0, stop: ["of Germany"] },
  penalties: { ...PLAIN, sampling: { temperature: 0, presencePenalty: 1, repetitionPenalty: 1.2 } },
  "a bound answer": { ...PLAIN, format: { type: "json_schema", schema }, maxTokens: 60 },
  "a thought before a bound answer": { ...THINKS, format: { type: "json_schema", schema }, maxTokens: 80 },
  "a forced tool call": {
    ...PLAIN,
    tools: weather,
    toolChoice: { type: "function", name: "get_weather" },
    maxTokens: 60,
  },
  "a free tool call": {
    ...PLAIN,
    tools: weather,
    messages: [{ role: "user", content: "What is the weather in Oslo?" }],
  },
  "several choices": { ...PLAIN, choices: 3, maxTokens: 12 },
  "broken characters": {
    ...PLAIN,
    logitBias: [...Buffer.from("ÿð𝄞")].map((_, i) => ({ token: 100 + i, bias: 6 })),
    maxTokens: 16,
  },
};

describe.each(Object.entries(requests))("%s", (_name, changes) => {
  const request = generationRequest({
    messages: [{ role: "user", content: CAPITAL }],
    sampling: { temperature: 0 },
    ...changes,
  });

  test("is the same wherever it was cut", async () => {
    const whole = engine.generate(request);
    const { result, usage } = await whole.done;
    const { cachedTokens: _, ...used } = usage;
    expect(whole.deltas.length).toBeGreaterThan(1);
    for (let cut = 0; cut <= whole.deltas.length; cut += 1) {
      const said = whole.deltas.slice(0, cut);
      const more = engine.generateOn(whole.id, request, choicesOf(said));
      const resumed = await more.done;
      expect(more.restarts).toBe(0);
      expect(resumed.result).toEqual(result);
      const { cachedTokens: __, ...usedAgain } = resumed.usage;
      expect(usedAgain).toEqual(used);
      expect(readingOf([...said, ...more.deltas])).toEqual(readingOf(whole.deltas));
      expect(readingOf(whole.deltas)).toEqual(tellingOf(result));
    }
  });
});

/** Nothing of one is in the caches of another. */
let strangers = 0;

test.each([1, 2, 3])(
  "all of them at once, each cut somewhere, in slots that hold nothing of them: %i",
  async (seed) => {
    const asked = Object.values(requests).map((changes) =>
      generationRequest({
        messages: [{ role: "user", content: CAPITAL }],
        sampling: { temperature: 0 },
        ...changes,
      }),
    );
    const wholes = asked.map((request) => engine.generate(request));
    const results = await Promise.all(wholes.map(({ done }) => done));
    const cut = wholes.map(({ deltas }, at) => deltas.slice(0, (seed * 7 + at * 5) % (deltas.length + 1)));
    const mores = asked.map((request, at) => {
      strangers += 1;
      const { id } = wholes[at] as (typeof wholes)[number];
      return engine.generateOn(id, request, choicesOf(cut[at] ?? []), `stranger ${strangers}`);
    });
    for (const [at, more] of mores.entries()) {
      expect((await more.done).result.text).toEqual(results[at]?.result.text);
      expect(more.restarts).toBe(0);
      expect(readingOf([...(cut[at] ?? []), ...more.deltas])).toEqual(readingOf(wholes[at]?.deltas ?? []));
    }
  },
);

function choicesOf(deltas: readonly Delta[]): PublishedChoice[] {
  return publishedChoices(deltas.map((data) => ({ type: "delta", data })));
}

/** What a caller puts together of deltas, choice by choice. */
function readingOf(deltas: readonly Delta[]) {
  const choices: PublishedChoice[] = [];
  const ends: (string | undefined)[] = [];
  for (const delta of deltas) {
    const at = delta.choice ?? 0;
    choices[at] ??= nothingPublished();
    addDelta(choices[at], delta);
    // Told once.
    if (delta.finish_reason !== undefined && ends[at] !== undefined) throw new Error("two ends");
    ends[at] ??= delta.finish_reason;
  }
  return choices.map(({ text, reasoning, toolCalls }) => ({ text, reasoning, toolCalls }));
}

function tellingOf(result: GenerationResult) {
  return [result, ...result.alternatives].map(({ text, reasoning, toolCalls }) => ({
    text,
    reasoning,
    toolCalls,
  }));
}

describe("what can't be gone on from is begun anew, and said to be", () => {
  const request = generationRequest({
    messages: [{ role: "user", content: CAPITAL }],
    sampling: { temperature: 0 },
    ...PLAIN,
  });
  const tokensOf = (deltas: readonly Delta[]) => choicesOf(deltas)[0]?.tokens ?? [];

  test.each<[string, (choice: PublishedChoice) => PublishedChoice]>([
    ["other text than the tokens make", (choice) => ({ ...choice, text: `${choice.text}!` })],
    ["other tokens than the text", (choice) => ({ ...choice, tokens: choice.tokens.toReversed() })],
    ["no tokens, as an older version published", (choice) => ({ ...choice, tokens: [] })],
  ])("%s", async (_, change) => {
    const whole = engine.generate(request);
    const { result } = await whole.done;
    const [choice = nothingPublished()] = choicesOf(whole.deltas.slice(0, 4));
    const more = engine.generateOn(whole.id, request, [change(choice)]);
    expect((await more.done).result).toEqual(result);
    expect(more.restarts).toBe(1);
    expect(tokensOf(more.deltas)).toEqual(tokensOf(whole.deltas));
  });

  test("a grammar that would not have allowed it", async () => {
    const whole = engine.generate(request);
    await whole.done;
    const format = { type: "json_schema" as const, schema };
    const more = engine.generateOn(
      whole.id,
      { ...request, format, maxTokens: 60 },
      choicesOf(whole.deltas.slice(0, 4)),
    );
    expect((await more.done).result.text).toMatch(/^\{ *"name"/);
    expect(more.restarts).toBe(1);
  });
});

test("the tokens of earlier attempts come from the cache of the slot that ran them", async () => {
  const request = generationRequest({
    messages: [{ role: "user", content: CAPITAL }],
    sampling: { temperature: 0 },
    ...PLAIN,
  });
  const whole = engine.generate(request);
  const { usage } = await whole.done;
  const stepsBefore = engine.steps.length;
  const more = engine.generateOn(whole.id, request, choicesOf(whole.deltas.slice(0, -1)));
  const again = await more.done;
  expect(again.usage.cachedTokens).toBeLessThanOrEqual(usage.promptTokens);
  const prefilled = engine.steps.slice(stepsBefore).reduce((sum, step) => sum + step.prefillTokens, 0);
  expect(prefilled).toBe(1);
});

describe("with the fallback driver", () => {
  let sequence: RunningEngine;
  beforeAll(async () => {
    let nowMs = 0;
    sequence = await startEngine(TINY, { slots: 2, driver: "sequence" }, () => {
      nowMs += 1_000;
      return nowMs;
    });
  });
  afterAll(() => sequence[Symbol.asyncDispose]());

  test.each([
    ["free text goes on", PLAIN, 0],
    [
      "bound text begins anew",
      { ...PLAIN, format: { type: "json_schema" as const, schema }, maxTokens: 60 },
      1,
    ],
  ])("%s", async (_, changes, restarts) => {
    const request = generationRequest({
      messages: [{ role: "user", content: CAPITAL }],
      sampling: { temperature: 0 },
      ...changes,
    });
    const whole = sequence.generate(request);
    const { result } = await whole.done;
    const said = whole.deltas.slice(0, 4);
    const more = sequence.generateOn(whole.id, request, choicesOf(said));
    expect((await more.done).result).toEqual(result);
    expect(more.restarts).toBe(restarts);
    const heard = restarts === 0 ? [...said, ...more.deltas] : more.deltas;
    expect(readingOf(heard)).toEqual(readingOf(whole.deltas));
  });
});
