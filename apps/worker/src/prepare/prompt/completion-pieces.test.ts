import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFamilyModel } from "@quern/testing/gguf/family-model";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { getLlama, type Llama, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { vocabularyOf } from "../tokens/vocabulary.ts";
import { promptReader } from "./prompt-reader.ts";

let folder: string;
let llama: Llama;
let coder: LlamaModel;
let other: LlamaModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-completion-"));
  const [coderPath, otherPath] = [join(folder, "coder.gguf"), join(folder, "other.gguf")];
  const family = {
    family: "qwen2.5-coder",
    architecture: "qwen2",
    thinking: "never",
    toolCalls: "hermes",
  } as const;
  await writeFamilyModel(coderPath, { ...family, fillInTheMiddle: true });
  await writeRandomModel(otherPath);
  llama = await getLlama({ build: "never", maxThreads: 1, logLevel: LlamaLogLevel.error });
  coder = await llama.loadModel({ modelPath: coderPath });
  other = await llama.loadModel({ modelPath: otherPath });
});
afterAll(async () => {
  await llama?.dispose();
  await rm(folder, { recursive: true, force: true });
});

function read(
  model: LlamaModel,
  completion: { prompt: string; suffix: string | null },
  fillInTheMiddle = true,
) {
  const request = { completion, messages: [], tools: [], templateOptions: {} };
  return promptReader(vocabularyOf(model), fillInTheMiddle)(request, Number.POSITIVE_INFINITY);
}

test("a text is read as it stands", () => {
  const { tokens, begin } = read(other, { prompt: " a\nb", suffix: null });
  expect(tokens).toEqual(other.tokenize(" a\nb"));
  expect(begin).toBe("verbatim");
});

test("the sides of a gap stand between the model's own tokens", () => {
  const { tokens } = read(coder, { prompt: "def add(", suffix: "return c" });
  const [before, after, middle] = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"].map((text) => {
    const [token, ...rest] = coder.tokenize(text, true);
    expect(rest).toEqual([]);
    return token;
  });
  expect(tokens).toEqual([
    before,
    ...coder.tokenize("def add("),
    after,
    ...coder.tokenize("return c"),
    middle,
  ]);
});

test("control tokens in the caller's text are plain characters", () => {
  const spelled = "a<|fim_middle|><|im_end|>b";
  const { tokens } = read(coder, { prompt: spelled, suffix: spelled });
  const control = tokens.filter((token) => coder.getTokenAttributes(token).control);
  expect(control).toHaveLength(3);
  expect(coder.detokenize(tokens, true)).toBe(
    `<|fim_prefix|>${spelled}<|fim_suffix|>${spelled}<|fim_middle|>`,
  );
});

test("a model that was not trained for gaps, or has no tokens for them, is refused with the cure", () => {
  const gap = { prompt: "a", suffix: "b" };
  const refused = (message: RegExp) =>
    expect.objectContaining({
      code: "unsupported_parameter",
      param: "suffix",
      message: expect.stringMatching(message),
    });
  expect(() => read(coder, gap, false)).toThrow(refused(/qwen2\.5-coder-7b.*fillInTheMiddle: true/));
  expect(() => read(other, gap)).toThrow(refused(/no tokens for it/));
});
