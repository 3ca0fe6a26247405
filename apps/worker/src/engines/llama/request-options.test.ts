import { join } from "node:path";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningEngine, startEngine } from "./running-engine.fixture.ts";

// Promise: what a request asks of the answer's form, length and sampling is what it gets, beside others that ask for
// other things.

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");

let engine: RunningEngine;
beforeAll(async () => {
  engine = await startEngine(TINY, { slots: 4 });
});
afterAll(() => engine[Symbol.asyncDispose]());

function ask(content: string, changes: Partial<GenerationRequest> = {}): GenerationRequest {
  const messages = [{ role: "user" as const, content }];
  return generationRequest({ messages, templateOptions: { enable_thinking: false }, ...changes });
}

const CAPITAL = "What is the capital of France?";
const THINKS = { templateOptions: { enable_thinking: true } };

describe("formats", () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer", minimum: 0, maximum: 150 } },
    required: ["name", "age"],
    additionalProperties: false,
  };

  test("a JSON schema binds the answer, whatever the model would rather say", async () => {
    const format = { type: "json_schema" as const, schema };
    const requests = [CAPITAL, "What is 3 + 4?", "Hello"].map((content) =>
      ask(content, { format, maxTokens: 200 }),
    );
    const free = engine.generate(ask(CAPITAL));
    const answers = await Promise.all(requests.map((request) => engine.generate(request).done));
    for (const { result } of answers) {
      if (result.finishReason === "length") continue;
      const answer = JSON.parse(result.text);
      expect(Object.keys(answer)).toEqual(["name", "age"]);
      expect(typeof answer.name).toBe("string");
      expect(answer.age).toBeGreaterThanOrEqual(0);
    }
    expect(answers.some(({ result }) => result.finishReason === "stop")).toBe(true);
    expect((await free.done).result.text).toBe("The capital of France is Paris.");
  });

  test("reasoning before a bound answer is free", async () => {
    const format = { type: "json_schema" as const, schema: { enum: ["yes", "no"] } };
    const { result, usage } = await engine.generate(ask(CAPITAL, { format, ...THINKS })).done;
    expect(result.reasoning).toContain("France");
    expect(["yes", "no"]).toContain(JSON.parse(result.text));
    expect(usage.reasoningTokens).toBeGreaterThan(3);
  });

  test("without a thought, by a switch in the message too, the answer is bound from its first token", async () => {
    const format = { type: "json_schema" as const, schema: { enum: ["yes", "no"] } };
    for (const request of [
      ask(CAPITAL, { format }),
      ask(`${CAPITAL} /no_think`, { format, templateOptions: {} }),
    ]) {
      const { result } = await engine.generate(request).done;
      expect(result.reasoning).toBe("");
      expect(["yes", "no"]).toContain(JSON.parse(result.text));
    }
  });

  test("JSON mode gives an object", async () => {
    const { result } = await engine.generate(
      ask(CAPITAL, { format: { type: "json_object" }, maxTokens: 300 }),
    ).done;
    expect(result.text.trimStart().startsWith("{")).toBe(true);
    if (result.finishReason === "stop") expect(JSON.parse(result.text)).toBeTypeOf("object");
  });

  test("a required tool is called, with arguments that fit its parameters, in pieces that add up", async () => {
    const tools = [
      {
        type: "function" as const,
        function: {
          name: "get_weather",
          parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        },
      },
    ];
    const request = ask(CAPITAL, {
      tools,
      toolChoice: { type: "function", name: "get_weather" },
      maxTokens: 200,
    });
    const { done, deltas } = engine.generate(request);
    const { result } = await done;
    expect(result).toMatchObject({ finishReason: "tool_calls", text: "" });
    expect(result.toolCalls[0]?.function.name).toBe("get_weather");
    expect(JSON.parse(result.toolCalls[0]?.function.arguments ?? "").city).toBeTypeOf("string");
    const pieces = deltas.flatMap(({ tool_calls = [] }) => tool_calls.filter(({ index }) => index === 0));
    expect(pieces.map((piece) => piece.function.arguments ?? "").join("")).toBe(
      result.toolCalls[0]?.function.arguments,
    );
    expect(pieces[0]).toMatchObject({ id: expect.any(String), type: "function" });
  });

  test("a schema that can't be enforced is refused, and nobody else notices", async () => {
    const free = engine.generate(ask(CAPITAL));
    const format = { type: "json_schema" as const, schema: { not: { type: "string" } } };
    await expect(engine.generate(ask(CAPITAL, { format })).done).rejects.toMatchObject({
      code: "invalid_request",
    });
    expect((await free.done).result.text).toBe("The capital of France is Paris.");
  });
});

describe("thinking budgets", () => {
  test("a spent budget closes the thoughts, and an answer follows", async () => {
    const free = await engine.generate(ask(CAPITAL, THINKS)).done;
    const { result, usage } = await engine.generate(ask(CAPITAL, { ...THINKS, thinkingBudgetTokens: 3 }))
      .done;
    expect(result.reasoning.length).toBeGreaterThan(0);
    expect(result.reasoning).toContain("limited time");
    expect(result.reasoning).not.toBe(free.result.reasoning);
    expect(result.text).not.toBe("");
    expect(usage.completionTokens).toBeGreaterThan(usage.reasoningTokens);
  });

  test("a budget that is not spent changes nothing", async () => {
    const free = await engine.generate(ask(CAPITAL, THINKS)).done;
    const bound = await engine.generate(ask(CAPITAL, { ...THINKS, thinkingBudgetTokens: 500 })).done;
    expect(bound.result).toEqual(free.result);
  });

  test("maxTokens holds for the closing words as well", async () => {
    const request = ask(CAPITAL, { ...THINKS, thinkingBudgetTokens: 2, maxTokens: 6 });
    const { result, usage } = await engine.generate(request).done;
    expect(usage.completionTokens).toBe(6);
    expect(result.finishReason).toBe("length");
  });
});

describe("log-probabilities", () => {
  test("stand beside each token of the content, and spell it", async () => {
    const { result } = await engine.generate(ask(CAPITAL, { topLogprobs: 3, ...THINKS })).done;
    const logprobs = result.logprobs ?? [];
    expect(logprobs.map(({ token }) => token).join("")).toBe(result.text);
    expect(Buffer.from(logprobs.flatMap(({ bytes }) => bytes)).toString()).toBe(result.text);
    for (const { logprob, top, token } of logprobs) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top).toHaveLength(3);
      expect(top[0]?.token).toBe(token); // greedy
      expect(top[0]?.logprob).toBeCloseTo(logprob, 5);
      expect(top.reduce((sum, other) => sum + Math.exp(other.logprob), 0)).toBeLessThanOrEqual(1 + 1e-5);
    }
  });

  test("are absent unless asked for, and refused where the engine can't tell them", async () => {
    expect((await engine.generate(ask(CAPITAL)).done).result.logprobs).toBeNull();
    await using plain = await startEngine(TINY, { driver: "sequence" });
    await expect(plain.generate(ask(CAPITAL, { topLogprobs: 0 })).done).rejects.toMatchObject({
      code: "unsupported_parameter",
      param: "logprobs",
    });
  });

  test("half characters keep their bytes", async () => {
    const request = ask("Say hello in Chinese.", {
      topLogprobs: 0,
      sampling: { temperature: 1.5 },
      seed: 7,
      maxTokens: 60,
    });
    const { result } = await engine.generate(request).done;
    const bytes = Buffer.from((result.logprobs ?? []).flatMap((one) => one.bytes));
    expect(bytes.toString()).toBe(result.text);
  });
});

describe("sampling", () => {
  const hot = { sampling: { temperature: 1.3 }, maxTokens: 24 };

  test("several choices go different ways, each with its end, and the prompt is counted once", async () => {
    const request = ask("Tell me a story about a dog.", { choices: 3, ...hot });
    const { done, deltas } = engine.generate(request);
    const { result, usage } = await done;
    const texts = [result, ...result.alternatives].map(({ text }) => text);
    expect(new Set(texts).size).toBe(3);
    expect([result, ...result.alternatives].every(({ finishReason }) => finishReason !== null)).toBe(true);
    const streamed = [0, 1, 2].map((choice) =>
      deltas
        .filter((delta) => (delta.choice ?? 0) === choice)
        .map(({ text = "" }) => text)
        .join(""),
    );
    expect(streamed).toEqual(texts);
    expect(deltas.flatMap(({ finish_reason }) => finish_reason ?? [])).toHaveLength(2);
    expect(usage.promptTokens).toBe(engine.countPromptTokens(request));
    expect(usage.completionTokens).toBeGreaterThan(24);
  });

  test("a cancel ends all choices of a request", async () => {
    const running = engine.generate(ask("Tell me a story about a dog.", { choices: 3 }));
    engine.engine.cancel(running.id);
    const { result } = await running.done;
    expect(result.finishReason).toBeNull();
    expect(result.alternatives).toHaveLength(2);
  });

  test("a seed gives the same answer again, another one another", async () => {
    const texts = await Promise.all(
      [5, 5, 6].map(
        async (seed) =>
          (await engine.generate(ask("Tell me a story about a dog.", { ...hot, seed })).done).result.text,
      ),
    );
    expect(texts[1]).toBe(texts[0]);
    expect(texts[2]).not.toBe(texts[0]);
  });

  test("a bias forces a token; one that the vocabulary does not have is refused", async () => {
    const forced = ask(CAPITAL, { logitBias: [{ token: 300, bias: 100 }], topLogprobs: 0, maxTokens: 3 });
    const logprobs = (await engine.generate(forced).done).result.logprobs ?? [];
    expect(logprobs).toHaveLength(3);
    expect(new Set(logprobs.map(({ token }) => token)).size).toBe(1);
    // The model's own opinion of it, not the bias's.
    expect(logprobs[0]?.logprob).toBeLessThan(-5);
    const unknown = ask(CAPITAL, { logitBias: [{ token: 2_560, bias: 1 }] });
    await expect(engine.generate(unknown).done).rejects.toMatchObject({
      code: "invalid_request",
      param: "logit_bias",
    });
  });

  test("a presence penalty makes a forced token leave", async () => {
    const forced = { logitBias: [{ token: 300, bias: 20 }], maxTokens: 12 };
    const plain = await engine.generate(ask(CAPITAL, forced)).done;
    const punished = await engine.generate(
      ask(CAPITAL, {
        ...forced,
        sampling: { presencePenalty: 2, frequencyPenalty: 2, repetitionPenalty: 2 },
      }),
    ).done;
    expect(punished.result.text).not.toBe(plain.result.text);
  });
});
