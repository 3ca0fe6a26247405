import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { defaultCatalogueFile, loadCatalogue } from "@quern/shared/models/catalogue";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { familyFacts } from "@quern/shared/models/qwen-families";
import type { Architecture } from "@quern/testing/gguf/architecture";
import {
  FAMILY_ANSWER,
  FAMILY_MIDDLE,
  FAMILY_THOUGHT,
  writeFamilyModel,
} from "@quern/testing/gguf/family-model";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineOptions } from "../apps/worker/src/model-options.fixture.ts";
import { engineRequest, PreparedEngine } from "../apps/worker/src/prepared-engine.fixture.ts";

// Promise: a model of each Qwen family loads in llama.cpp and answers, as the catalogue says of it.

const WEATHER = {
  type: "function" as const,
  function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-families-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One entry for each family and each architecture that its sizes have; embeddings don't answer. */
const examples = await familyExamples();

test("the catalogue's families need just the architectures that are tried here", () => {
  expect(new Set(examples.map(({ architecture }) => architecture))).toEqual(
    new Set(["qwen2", "qwen2moe", "qwen3", "qwen3moe"]),
  );
  expect(examples.length).toBeGreaterThan(11);
});

describe.each(examples)("$family as $architecture", ({ family, architecture, entry }) => {
  const { thinking, toolCalls, fillInTheMiddle } = entry;
  let path: string;
  let engine: PreparedEngine;

  beforeAll(async () => {
    path = join(folder, `${family}-${architecture}.gguf`);
    await writeFamilyModel(path, { family, architecture, thinking, toolCalls, fillInTheMiddle });
    engine = await PreparedEngine.start(
      engineOptions(path, {
        contextTokens: 1024,
        kvType: entry.kvType,
        sampling: entry.sampling,
        thinking,
        toolCalls,
        fillInTheMiddle,
      }),
    );
  });
  afterAll(() => engine?.close());

  test("is the architecture that the catalogue expects", async () => {
    expect(engine.facts.architecture).toBe(architecture);
    expect(engine.facts.experts !== null).toBe(architecture.endsWith("moe"));
    expect((await readGgufHeader(path)).architecture).toBe(architecture);
  });

  test("answers, with a thought where it thinks", async () => {
    const { result } = await generate(ask());
    expect(result.reasoning).toBe(thinking === "never" ? "" : FAMILY_THOUGHT);
    expect(result.text.startsWith(FAMILY_ANSWER)).toBe(true);
    expect(result.finishReason).toBe("stop");
  });

  test("lets itself be told not to think where the catalogue says that the choice is the caller's", async () => {
    const asked = engine.countPromptTokens(ask({ templateOptions: { enable_thinking: true } }));
    const unasked = engine.countPromptTokens(ask({ templateOptions: { enable_thinking: false } }));
    // The empty thought that switches thinking off.
    if (thinking === "optional") expect(unasked).toBeGreaterThan(asked);
    else expect(unasked).toBe(asked);
  });

  test("is told of tools, and calls one, in the form of its family", async () => {
    const [without, withTools] = [
      engine.countPromptTokens(ask()),
      engine.countPromptTokens(ask({ tools: [WEATHER] })),
    ];
    expect(withTools > without).toBe(toolCalls !== "none");
    const answered = generate(ask({ tools: [WEATHER] }));
    if (toolCalls === "none")
      return expect(answered).rejects.toMatchObject({ code: "unsupported_parameter" });
    const { result } = await answered;
    expect(result.text.startsWith(FAMILY_ANSWER)).toBe(true);
    const calls = result.toolCalls.map(({ function: { name, arguments: text } }) => [name, JSON.parse(text)]);
    expect(calls).toEqual([["get_weather", { city: "Oslo" }]]);
  });

  test("fills a gap where it was trained to", async () => {
    const completion = { prompt: "def add(a, b):", suffix: "print(add(1, 2))" };
    const filled = generate(ask({ messages: [], completion }));
    if (!fillInTheMiddle) {
      return expect(filled).rejects.toMatchObject({ code: "unsupported_parameter", param: "suffix" });
    }
    expect((await filled).result).toMatchObject({ text: FAMILY_MIDDLE, reasoning: "", finishReason: "stop" });
  });

  test("takes a conversation that called a tool before", async () => {
    const called: GenerationRequest["messages"] = [
      ...ask().messages,
      {
        role: "assistant",
        content: `<think>\n${FAMILY_THOUGHT}\n</think>\n\nLet me see.`,
        tool_calls: [{ type: "function", function: { name: "get_weather", arguments: { city: "Oslo" } } }],
      },
      { role: "tool", content: "It rains." },
    ];
    const tools = toolCalls === "none" ? [] : [WEATHER];
    const whole = engine.countPromptTokens(ask({ messages: called, tools }));
    const uncalled = called.map(({ tool_calls, ...message }) => message);
    expect(whole > engine.countPromptTokens(ask({ messages: uncalled, tools }))).toBe(toolCalls !== "none");
    const unthought = uncalled.map((message) =>
      message.role === "assistant" ? { ...message, content: "Let me see." } : message,
    );
    // Earlier thoughts are not shown to a model that thinks.
    const difference =
      engine.countPromptTokens(ask({ messages: uncalled, tools })) -
      engine.countPromptTokens(ask({ messages: unthought, tools }));
    expect(difference > 0).toBe(thinking === "never");
    const { result } = await generate(ask({ messages: called, tools }));
    expect(result.text.startsWith(FAMILY_ANSWER)).toBe(true);
    // As OpenAI's clients send them: no template was written for arguments in a string.
    const spelled = JSON.parse(
      JSON.stringify(called).replace('{"city":"Oslo"}', '"{\\"city\\": \\"Oslo\\"}"'),
    );
    expect(engine.countPromptTokens(ask({ messages: spelled, tools }))).toBe(whole);
  });

  let nextId = 1;
  function generate(request: GenerationRequest) {
    const id = `job_${nextId++}`;
    return engine.generate(
      engineRequest(id, request),
      { deltas: () => {}, restarted: () => {} },
      new AbortController().signal,
    );
  }
});

function ask(changes: Partial<GenerationRequest> = {}): GenerationRequest {
  const messages = [{ role: "user" as const, content: "What is the capital of France?" }];
  return generationRequest({ messages, ...changes });
}

async function familyExamples() {
  const { entries } = await loadCatalogue(defaultCatalogueFile());
  const examples = new Map<string, { family: string; architecture: Architecture; entry: CatalogueEntry }>();
  for (const entry of entries) {
    if (entry.family === null || entry.kind === "embedding" || entry.parameters === null) continue;
    const { architectures } = familyFacts(entry.family);
    const isMoe = entry.parameters.active < entry.parameters.total;
    const architecture = (isMoe ? architectures.moe : architectures.dense) as Architecture;
    const key = `${entry.family} ${architecture}`;
    if (!examples.has(key)) examples.set(key, { family: entry.family, architecture, entry });
  }
  return [...examples.values()];
}
