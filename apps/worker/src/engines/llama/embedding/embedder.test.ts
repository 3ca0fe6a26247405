import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EmbeddingRequest } from "@quern/shared/contract/embedding";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { writeEmbeddingModel } from "@quern/testing/gguf/embedding-model";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { getLlama, type LlamaEmbeddingContext, LlamaLogLevel, type Token } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { engineOptions, type TestModelOptions } from "../../../model-options.fixture.ts";
import { engineRequest, PreparedEngine } from "../../../prepared-engine.fixture.ts";

const CONTEXT_TOKENS = 600;
const TEXTS = ["Hello", "The cat sat on the mat.", "Grüße, 世界 🙂", "a ".repeat(40)];
/** Longer than one decode. */
const LONG = Array.from({ length: 280 }, (_, i) => String.fromCharCode(97 + (i % 26))).join(" ");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-embedder-"));
  await Promise.all([
    writeEmbeddingModel(join(folder, "embedding.gguf")),
    writeEmbeddingModel(join(folder, "ends.gguf"), { appendsEnd: true }),
    writeEmbeddingModel(join(folder, "mean.gguf"), { pooling: "mean" }),
    writeRandomModel(join(folder, "chat.gguf")),
  ]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([
  { file: "embedding", kind: "embedding", end: "<|endoftext|>" },
  { file: "ends", kind: "embedding", end: "<|im_end|>" },
  { file: "chat", kind: "chat", end: "" },
] as const)("$file.gguf as $kind", ({ file, kind, end }) => {
  let engine: PreparedEngine;
  let library: Awaited<ReturnType<typeof openLibrary>>;
  beforeAll(async () => {
    [engine, library] = await Promise.all([startEngine(file, { kind }), openLibrary(file)]);
  });
  afterAll(async () => {
    await engine?.close();
    await library?.[Symbol.asyncDispose]();
  });

  test("vectors are the library's, of length 1, in the order of the inputs", async () => {
    const inputs = [...TEXTS, LONG, ...TEXTS.toReversed()];
    const { vectors, promptTokens } = await embed(engine, { inputs });
    const expected = await Promise.all(inputs.map((text) => library.vectorOf(text, end)));
    expect(vectors).toEqual(expected.map(({ vector }) => vector));
    expect(promptTokens).toBe(expected.reduce((sum, { tokens }) => sum + tokens, 0));
    for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    expect(new Set(vectors.map(String)).size).toBe(TEXTS.length + 1);
  });

  test("a vector that is cut keeps its direction, at length 1", async () => {
    const [whole, cut] = await Promise.all([
      embed(engine, { inputs: TEXTS }),
      embed(engine, { inputs: TEXTS, dimensions: 8 }),
    ]);
    for (const [i, vector] of cut.vectors.entries()) {
      const kept = whole.vectors[i]?.slice(0, 8) ?? [];
      const length = Math.hypot(...kept);
      expect(vector).toHaveLength(8);
      for (const [at, number] of vector.entries()) expect(number).toBeCloseTo((kept[at] ?? 0) / length, 6);
    }
  });

  test("control tokens in a text are plain characters", () => {
    const [plain, spelled] = engine.countTokens({ inputs: ["ab", "a<|im_end|>b"] });
    expect(spelled).toBeGreaterThan((plain ?? 0) + 3);
  });

  test("one input fills the context; one token more is refused by its index", async () => {
    const [around = 0] = engine.countTokens({ inputs: ["x"] }).map((tokens) => tokens - 1);
    const full = "x".repeat(CONTEXT_TOKENS - around);
    expect((await embed(engine, { inputs: [full] })).promptTokens).toBe(CONTEXT_TOKENS);
    await expect(embed(engine, { inputs: ["x", `${full}x`] })).rejects.toMatchObject({
      code: "context_length_exceeded",
      param: "input[1]",
    });
  });

  test("more dimensions than the model has are refused", async () => {
    expect(engine.facts.embeddingDimensions).toBe(64);
    await expect(embed(engine, { inputs: ["a"], dimensions: 65 })).rejects.toMatchObject({
      code: "invalid_request",
      param: "dimensions",
    });
  });

  test("a cancel ends it between two inputs, with no result", async () => {
    const stop = new AbortController();
    const inputs = Array<string>(500).fill(LONG);
    const stopped = embed(engine, { inputs }, stop.signal);
    // Requests take turns: the second one is answered while the first is at work.
    await embed(engine, { inputs: ["a"] });
    stop.abort();
    const { vectors, promptTokens } = await stopped;
    expect(vectors).toEqual([]);
    expect(promptTokens).toBeLessThan(500 * LONG.length);
  });
});

test("an embedding model has no slots, and writes no text", async () => {
  const engine = await startEngine("embedding", { kind: "embedding" });
  onTestFinished(() => engine.close());
  expect(engine.facts.driver).toBeNull();
  expect(engine.facts.contextBytes).toBeGreaterThan(0);
  const request = engineRequest("job_1", generationRequest());
  const deaf = { deltas: () => {}, restarted: () => {} };
  await expect(engine.generate(request, deaf, new AbortController().signal)).rejects.toMatchObject({
    code: "invalid_request",
    param: "model",
  });
  expect(() => engine.countPromptTokens(generationRequest())).toThrow(/writes no text/);
});

test("a model that pools otherwise is refused at load", async () => {
  await expect(startEngine("mean", { kind: "embedding" })).rejects.toMatchObject({
    code: "model_file_invalid",
    message: expect.stringMatching(/by mean/),
  });
});

test("vectors do not depend on the chats that run beside them", async () => {
  const engine = await startEngine("chat", { slots: 4, contextTokens: 4_096 });
  onTestFinished(() => engine.close());
  await using library = await openLibrary("chat");
  const logitBias = library.endTokens.map((token) => ({ token, bias: -100 }));
  const inputs = Array.from({ length: 64 }, (_, i) => `Text number ${i}, ${"word ".repeat(i % 7)}`);
  const alone = await embed(engine, { inputs });
  const stop = new AbortController();
  let deltas = 0;
  const speaking = Promise.withResolvers<void>();
  const chats = [1, 2, 3, 4].map((seed) =>
    engine.generate(
      engineRequest(`chat_${seed}`, generationRequest({ seed, logitBias })),
      {
        deltas: () => {
          deltas += 1;
          if (deltas >= 4) speaking.resolve();
        },
        restarted: () => {},
      },
      stop.signal,
    ),
  );
  await speaking.promise;
  const before = deltas;
  const beside = await embed(engine, { inputs });
  expect(deltas).toBeGreaterThan(before);
  expect(beside).toEqual(alone);
  stop.abort();
  await Promise.all(chats);
});

function startEngine(file: string, changes: Partial<TestModelOptions>): Promise<PreparedEngine> {
  const path = join(folder, `${file}.gguf`);
  const options = engineOptions(path, { contextTokens: CONTEXT_TOKENS, ...changes });
  return PreparedEngine.start(options);
}

let nextId = 1;
async function embed(
  engine: PreparedEngine,
  request: Partial<EmbeddingRequest>,
  signal = new AbortController().signal,
): Promise<{ vectors: number[][]; promptTokens: number }> {
  const whole = { inputs: [], dimensions: null, encoding: "base64" as const, ...request };
  const { result, usage } = await engine.embed(`job_${nextId++}`, whole, signal);
  const vectors = (result?.vectors ?? []).map((vector) => {
    const bytes = Buffer.from(vector, "base64");
    return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
  });
  return { vectors, promptTokens: usage.promptTokens };
}

/** The library by itself, with its own defaults. */
async function openLibrary(file: string) {
  const llama = await getLlama({ build: "never", maxThreads: 1, logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath: join(folder, `${file}.gguf`) });
  const context: LlamaEmbeddingContext = await model.createEmbeddingContext({
    contextSize: 1_024,
    batchSize: 512,
    threads: 1,
  });
  return {
    endTokens: ["<|im_end|>", "<|endoftext|>"].flatMap((text) => model.tokenize(text, true)),
    vectorOf: async (text: string, end: string) => {
      const tokens: Token[] = [...model.tokenize(text), ...model.tokenize(end, true)];
      const { vector } = await context.getEmbeddingFor(tokens);
      const length = Math.hypot(...vector);
      return {
        vector: vector.map((number) => Math.fround(number / length)),
        tokens: context.calculateInputLength(tokens),
      };
    },
    [Symbol.asyncDispose]: async () => {
      await context.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}
