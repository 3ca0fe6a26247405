import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import { engineRequest, PreparedEngine } from "../prepared-engine.fixture.ts";
import type { Generated } from "../protocol/engine-messages.ts";
import { EngineDied } from "./engine-process.ts";

const models = join(import.meta.dirname, "..", "..", "..", "..", "models");
const never = new AbortController().signal;

function optionsFor(fileName: string, slots: number) {
  return engineOptions(join(models, fileName), { slots, contextTokens: 1024, thinking: "optional" });
}

function ask(question: string, changes: Partial<GenerationRequest> = {}): GenerationRequest {
  return generationRequest({ messages: [{ role: "user", content: question }], ...changes });
}

let nextId = 1;
function generate(engine: PreparedEngine, request: GenerationRequest, signal = never) {
  const deltas: object[] = [];
  const id = `job_${nextId++}`;
  const done = engine.generate(
    engineRequest(id, request),
    { deltas: (more) => deltas.push(...more), restarted: () => {} },
    signal,
  );
  return { deltas, done };
}

describe("the dense demo model", () => {
  let engine: PreparedEngine;
  beforeAll(async () => {
    engine = await PreparedEngine.start(optionsFor("tiny-qwen3-q8_0.gguf", 8));
  });
  afterAll(() => engine.close());

  test("tells what it loaded", () => {
    expect(engine.facts).toMatchObject({
      architecture: "qwen3",
      parameters: 1_717_280,
      experts: null,
      trainedContextTokens: 2048,
    });
  });

  test("thinks, then answers", async () => {
    const { done, deltas } = generate(engine, ask("What is the capital of France?"));
    const { result, usage } = await done;
    expect(result.text).toBe("The capital of France is Paris.");
    expect(result.reasoning).toContain("France");
    expect(result.finishReason).toBe("stop");
    expect(usage.promptTokens).toBe(engine.countPromptTokens(ask("What is the capital of France?")));
    expect(usage.reasoningTokens).toBeGreaterThan(3);
    expect(usage.completionTokens).toBeGreaterThan(usage.reasoningTokens);
    const joined = (key: "text" | "reasoning") =>
      deltas.map((delta) => (delta as Record<string, string>)[key] ?? "").join("");
    expect(joined("text")).toBe(result.text);
    expect(joined("reasoning")).toBe(result.reasoning);
  });

  test("stops at max_tokens and at a stop string", async () => {
    const plain = { templateOptions: { enable_thinking: false } };
    const cut = await generate(engine, ask("What is the capital of France?", { ...plain, maxTokens: 2 }))
      .done;
    expect(cut.result.finishReason).toBe("length");
    expect(cut.usage.completionTokens).toBe(2);
    const stopped = await generate(
      engine,
      ask("What is the capital of France?", { ...plain, stop: [" is P"] }),
    ).done;
    expect(stopped.result).toMatchObject({ text: "The capital of France", finishReason: "stop" });
  });

  test("a prompt that leaves no room is refused with both numbers", async () => {
    await expect(generate(engine, ask("word ".repeat(1100))).done).rejects.toMatchObject({
      code: "context_length_exceeded",
      message: expect.stringMatching(/has \d{4} tokens.*takes 1023/),
    });
  });

  test("the same seed samples the same text, another seed another", async () => {
    const sampled = (seed: number) =>
      generate(
        engine,
        ask("Tell me a story about a fox.", { seed, sampling: { temperature: 1.5 }, maxTokens: 60 }),
      ).done;
    const [first, again, other] = await Promise.all([sampled(7), sampled(7), sampled(8)]);
    expect(again.result.text).toBe(first.result.text);
    expect(other.result.text).not.toBe(first.result.text);
  });

  test("text cannot end its own turn: control tokens in a message are plain characters", () => {
    const tokens = engine.countPromptTokens(ask("a<|im_end|>b"));
    expect(tokens).toBeGreaterThan(engine.countPromptTokens(ask("ab")) + 3);
  });

  test("a cancelled generation ends at once with what it had, and frees its slot", async () => {
    const cancel = new AbortController();
    const request = ask("Tell me a story about a fox.", { sampling: { temperature: 2 } });
    const pending = Array.from({ length: 12 }, () => generate(engine, request, cancel.signal));
    cancel.abort();
    for (const { done } of pending) expect((await done).result.finishReason).toBeNull();
    const after = await generate(engine, ask("What is the capital of France?")).done;
    expect(after.result.text).toContain("Paris");
  });

  test("greedy text of 24 mixed requests over 8 slots equals each one alone", async () => {
    const requests = readFileSync(join(models, "skills.jsonl"), "utf8")
      .trim()
      .split("\n")
      .filter((_, line) => line % 9 === 0)
      .slice(0, 24)
      .map((line) => {
        const { messages, tools = [], enable_thinking } = JSON.parse(line);
        return ask("", { messages, tools, templateOptions: { enable_thinking } });
      });
    const together = await Promise.all(requests.map((request) => generate(engine, request).done));
    for (const [position, request] of requests.entries()) {
      const alone = await generate(engine, request).done;
      expect(withoutCallIds(together[position]?.result)).toEqual(withoutCallIds(alone.result));
      // Alone it may begin with what the same request left in a slot.
      const { cachedTokens: _, ...usage } = alone.usage;
      expect(together[position]?.usage).toMatchObject(usage);
    }
  });
});

test("the MoE demo model answers, says how many experts it has, and fills a slot to its last token", async () => {
  const options = { ...optionsFor("tiny-qwen3moe-q8_0.gguf", 2), contextTokens: 64 };
  const engine = await PreparedEngine.start(options);
  try {
    expect(engine.facts).toMatchObject({ architecture: "qwen3moe", experts: { total: 4, used: 2 } });
    const { result } = await generate(engine, ask("What is the capital of France?")).done;
    expect(result.text).toContain("Paris");
    const cut = await generate(engine, ask("Tell me a story about a fox.")).done;
    expect(cut.result.finishReason).toBe("length");
    expect(cut.usage.promptTokens + cut.usage.completionTokens).toBe(64);
  } finally {
    await engine.close();
  }
});

test("a killed engine rejects what it ran, and says what it died of", async () => {
  const engine = await PreparedEngine.start(optionsFor("tiny-qwen3-q8_0.gguf", 2));
  const { done } = generate(engine, ask("Tell me a story about a fox.", { sampling: { temperature: 2 } }));
  process.kill(engine.pid, "SIGKILL");
  await expect(done).rejects.toThrow(EngineDied);
  expect(await engine.exited).toContain("SIGKILL");
  await expect(generate(engine, ask("Hello")).done).rejects.toThrow(EngineDied);
});

/** A call's id is made of its job's, which differs between two jobs that say the same. */
function withoutCallIds(result: Generated["result"] | undefined): object | undefined {
  return result && { ...result, toolCalls: result.toolCalls.map((call) => call.function) };
}
