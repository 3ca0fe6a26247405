import { join } from "node:path";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import type { Token } from "node-llama-cpp";
import { beforeAll, expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import { decodeTokens } from "../protocol/token-ids.ts";
import { Preparer } from "./preparer.ts";
import { loadVocabulary, type Vocabulary } from "./tokens/vocabulary.ts";

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");
const CONTEXT_TOKENS = 128;
let vocabulary: Vocabulary;
let preparer: Preparer;
beforeAll(async () => {
  vocabulary = await loadVocabulary(TINY);
  preparer = new Preparer(
    vocabulary,
    engineOptions(TINY, { contextTokens: CONTEXT_TOKENS, thinking: "optional" }),
  );
});

function ask(content: string, changes: Partial<GenerationRequest> = {}): GenerationRequest {
  return generationRequest({ messages: [{ role: "user", content }], ...changes });
}

function refusalOf(request: GenerationRequest): { code: string; message: string } {
  try {
    preparer.prepare(request);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error("it was not refused");
}

test("a chat becomes its template's tokens, and says nothing of its text", () => {
  const prepared = preparer.prepare(ask("Who are you?", { templateOptions: { enable_thinking: false } }));
  if (prepared.kind !== "generation") throw new Error(prepared.kind);
  const { promptTokens, begin, maxTokens } = prepared.generation;
  const tokens = decodeTokens(promptTokens) as Token[];
  const text = vocabulary.model.detokenize(tokens, true);
  expect(text).toMatch(/^<\|im_start\|>user\nWho are you\?<\|im_end\|>\n<\|im_start\|>assistant\n/);
  expect(begin).toBe("answering");
  expect(maxTokens).toBe(CONTEXT_TOKENS - tokens.length);
  expect(JSON.stringify(prepared)).not.toContain("Who are you");
});

test("the caller's sampling goes over the model's own for the mode", () => {
  const options = engineOptions(TINY, {
    thinking: "optional",
    sampling: { thinking: { temperature: 0.6, topK: 20 }, plain: { temperature: 0.7 } },
  });
  const samplingOf = (request: GenerationRequest) => {
    const prepared = new Preparer(vocabulary, options).prepare(request);
    return prepared.kind === "generation" ? prepared.generation.sampling : null;
  };
  expect(samplingOf(ask("a", { sampling: { topP: 0.5, topK: undefined } }))).toEqual({
    temperature: 0.6,
    topK: 20,
    topP: 0.5,
  });
  expect(samplingOf(ask("a /no_think", { sampling: {} }))).toEqual({ temperature: 0.7 });
});

test("a prompt that is too long is refused with its tokens, or with a bound where they are very many", () => {
  const exact = refusalOf(ask("word ".repeat(2 * CONTEXT_TOKENS)));
  expect(exact).toMatchObject({
    code: "context_length_exceeded",
    message: expect.stringMatching(/has \d+ tokens;.* takes 127/),
  });
  for (const request of [
    ask("word ".repeat(20 * CONTEXT_TOKENS)),
    ask("B".repeat(1_000_000)),
    generationRequest({
      messages: Array.from({ length: 10_000 }, () => ({ role: "user" as const, content: "" })),
    }),
  ]) {
    expect(refusalOf(request)).toMatchObject({
      code: "context_length_exceeded",
      message: expect.stringMatching(/has more than \d+ tokens/),
    });
  }
});

test("texts to embed are counted and bounded one by one", () => {
  const request = { inputs: ["a", "word ".repeat(200)], dimensions: null, encoding: "float" as const };
  expect(preparer.count(request)).toEqual([1, expect.any(Number)]);
  expect(() => preparer.prepare(request)).toThrow(/input 1 has \d+ tokens/);
  const prepared = preparer.prepare({ ...request, inputs: ["a", "b"] });
  expect(prepared.kind === "embedding" && prepared.embedding.inputs.map(decodeTokens)).toEqual([
    [expect.any(Number)],
    [expect.any(Number)],
  ]);
});
