import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  getLlama,
  type Llama,
  LlamaLogLevel,
  type LlamaModel,
  readGgufFileInfo,
  type Token,
} from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ARCHITECTURES,
  type ModelShape,
  planTensors,
  QWEN3_0_6B_SHAPE,
  QWEN3_MOE_0_6B_ACTIVE_SHAPE,
  QWEN3_VOCABULARY,
  TINY_SHAPE,
  tensorTypeOf,
} from "./architecture.ts";
import {
  writeBadMagicModel,
  writeNanModel,
  writeTruncatedModel,
  writeUnknownArchitectureModel,
} from "./damaged-models.ts";
import { writePoisonModel } from "./poison-model.ts";
import { encodedBytes } from "./quantize.ts";
import { QWEN3_0_6B, QWEN3_MOE_0_6B_ACTIVE, writeRandomModel } from "./random-model.ts";
import { writeScriptedModel } from "./scripted-model.ts";

const PROMPT = "<|im_start|>user\nIs the café open? 中文 🙂<|im_end|>\n<|im_start|>assistant\n";
const PROMPT_WITHOUT_THINKING = `${PROMPT}<think>\n\n</think>\n\n`;

let llama: Llama;
let folder: string;

beforeAll(async () => {
  llama = await startLlama();
  folder = await mkdtemp(join(tmpdir(), "quern-gguf-"));
});

afterAll(async () => {
  await llama.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe("random models", () => {
  test.each(
    ARCHITECTURES.flatMap((architecture) =>
      (["f32", "q8_0", "q4_0"] as const).map((weights) => ({ architecture, weights })),
    ),
  )("$architecture in $weights generates, and the same again", async ({ architecture, weights }) => {
    const path = join(folder, `${architecture}-${weights}.gguf`);
    await writeRandomModel(path, { architecture, weights });
    await using model = await llama.loadModel({ modelPath: path });
    expect(model.fileInfo.metadata.general.architecture).toBe(architecture);
    expect(model.fileInfo.metadata.general.file_type).toBe({ f32: 0, q8_0: 7, q4_0: 2 }[weights]);

    const first = await generate(model, PROMPT, { maxTokens: 24, pastEnd: true });
    expect(first.tokens).toHaveLength(24);
    expect(new Set(first.tokens).size).toBeGreaterThan(4);
    expect((await generate(model, PROMPT, { maxTokens: 24, pastEnd: true })).tokens).toEqual(first.tokens);
  });

  test("the tokenizer spells any text and knows the special tokens", async () => {
    const path = join(folder, "tokenizer.gguf");
    await writeRandomModel(path);
    await using model = await llama.loadModel({ modelPath: path });
    const tokens = model.tokenize(PROMPT, true);
    expect(model.detokenize(tokens, true)).toBe(PROMPT);
    expect(tokens.filter((token) => model.isSpecialToken(token))).toHaveLength(3);
    expect(model.tokenize("<|im_end|>", true)).toEqual([model.tokens.eos]);
    // A merged word is one token, an unknown one is spelt in bytes.
    expect(model.tokenize("assistant")).toHaveLength(1);
    expect(model.tokenize("zebra")).toHaveLength(5);
  });

  test("one seed gives one file, another seed another", async () => {
    const write = async (name: string, seed: number) => {
      await writeRandomModel(join(folder, name), { seed, weights: "q8_0" });
      return readFile(join(folder, name));
    };
    const [a, again, b] = [await write("a.gguf", 7), await write("a2.gguf", 7), await write("b.gguf", 8)];
    expect(a.equals(again)).toBe(true);
    expect(a.equals(b)).toBe(false);
  });

  test("a small relative of the Qwen3-0.6B shape has its keys, its tied head and its padded vocabulary", async () => {
    const path = join(folder, "relative.gguf");
    await writeRandomModel(path, {
      ...QWEN3_0_6B,
      layers: 1,
      hidden: 128,
      feedForward: 384,
      heads: 4,
      kvHeads: 2,
      headDim: 32,
      vocabulary: 20_000,
    });
    const info = await readGgufFileInfo(path, { readTensorInfo: true });
    expect(info.metadata.tokenizer.ggml.tokens).toHaveLength(20_000);
    expect(info.fullTensorInfo?.some(({ name }) => name === "output.weight")).toBe(false);
    expect(QWEN3_0_6B_SHAPE).toMatchObject({ layers: 28, hidden: 1024, heads: 16, kvHeads: 8, headDim: 128 });
    // 4.5 bits a weight, the rest is the vocabulary.
    expect((await stat(path)).size).toBeLessThan(2_500_000);

    await using model = await llama.loadModel({ modelPath: path });
    expect((await generate(model, PROMPT, { maxTokens: 4, pastEnd: true })).tokens).toHaveLength(4);
  });

  test("a small relative of the mixture of experts has all its experts, and generates", async () => {
    const path = join(folder, "moe-relative.gguf");
    await writeRandomModel(path, {
      ...QWEN3_MOE_0_6B_ACTIVE,
      layers: 1,
      hidden: 128,
      heads: 4,
      kvHeads: 2,
      headDim: 32,
      vocabulary: 2_000,
    });
    const info = await readGgufFileInfo(path, { readTensorInfo: true });
    expect(info.metadata.general.architecture).toBe("qwen3moe");
    expect(info.architectureMetadata).toMatchObject({
      expert_count: 32,
      expert_used_count: 8,
      expert_feed_forward_length: 384,
    });
    await using model = await llama.loadModel({ modelPath: path });
    expect((await generate(model, PROMPT, { maxTokens: 4, pastEnd: true })).tokens).toHaveLength(4);
  });

  test("the mixture of experts costs per token what Qwen3-0.6B costs, and stays below 800 MB", () => {
    const activeBytes = (shape: ModelShape) =>
      tensorBytes(shape, ({ name }) => (name.includes("_exps") ? shape.expertsUsed / shape.experts : 1));
    const [dense, sparse] = [activeBytes(QWEN3_0_6B_SHAPE), activeBytes(QWEN3_MOE_0_6B_ACTIVE_SHAPE)];
    expect(sparse / dense).toBeGreaterThan(0.99);
    expect(sparse / dense).toBeLessThan(1.02);
    expect(tensorBytes(QWEN3_MOE_0_6B_ACTIVE_SHAPE, () => 1)).toBeLessThan(800e6);
  });
});

describe("scripted models", () => {
  const TEXTS = {
    "thought and answer":
      "<think>\nFrance? Its capital is Paris, Paris it is.\n</think>\n\nParis is the capital.<|im_end|>",
    "repeated words": "ha ha ha ha ha ha ha ha, he said, he said.",
    "other scripts and emoji": "Grüße: 中文 中文, 🙂 🙂 end",
    "tool call": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "two tool calls": "<tool_call>\n{}\n</tool_call>\n<tool_call>\n{}\n</tool_call>",
    "one letter": "a",
  };

  test.each(Object.entries(TEXTS))("%s: says it exactly, then ends its turn", async (name, text) => {
    const path = join(folder, `script-${name.replaceAll(" ", "-")}.gguf`);
    const steps = await writeScriptedModel(path, { text });
    await using model = await llama.loadModel({ modelPath: path });
    const wanted = text.endsWith("<|im_end|>") ? text : `${text}<|im_end|>`;
    for (const prompt of [PROMPT, PROMPT_WITHOUT_THINKING, "hm\n"]) {
      const said = await generate(model, prompt, { maxTokens: 500 });
      expect(said.text).toBe(wanted);
      expect(said.tokens).toHaveLength(steps.length);
      expect(said.tokens.at(-1)).toBe(model.tokens.eos);
    }
  });

  test("temperature doesn't move it, and a thought's tags are its special tokens", async () => {
    const path = join(folder, "warm.gguf");
    const text = `<think>${"so it goes and so on ".repeat(40)}</think>fine`;
    await writeScriptedModel(path, { text });
    await using model = await llama.loadModel({ modelPath: path });
    const said = await generate(model, PROMPT, { maxTokens: 500, temperature: 1.5 });
    expect(said.text).toBe(`${text}<|im_end|>`);
    expect(said.tokens).toContain(model.tokenize("<think>", true)[0]);
    expect(said.tokens).toContain(model.tokenize("</think>", true)[0]);
  });

  test.each(ARCHITECTURES)("%s can be scripted", async (architecture) => {
    const path = join(folder, `script-${architecture}.gguf`);
    await writeScriptedModel(path, { text: "one two three", architecture });
    await using model = await llama.loadModel({ modelPath: path });
    expect((await generate(model, PROMPT, { maxTokens: 20 })).text).toBe("one two three<|im_end|>");
  });

  test("`repeat` goes on for ever", async () => {
    const path = join(folder, "for-ever.gguf");
    await writeScriptedModel(path, { text: "tick tock ", ending: "repeat" });
    await using model = await llama.loadModel({ modelPath: path });
    const said = await generate(model, PROMPT, { maxTokens: 100 });
    expect(said.tokens).toHaveLength(100);
    expect("tick tock ".repeat(100)).toContain(said.text);
  });
});

describe("models that hurt", () => {
  test("the poison loads, and kills its process at the first decode", async () => {
    const path = join(folder, "poison.gguf");
    await writePoisonModel(path);
    const dead = await decodeInChild(path);
    expect(dead.output).toContain("loaded");
    expect(dead.output).not.toContain("decoded");
    expect(dead).toMatchObject({ signal: "SIGABRT" });

    const healthy = join(folder, "healthy.gguf");
    await writeRandomModel(healthy, { headDim: TINY_SHAPE.headDim });
    expect(await decodeInChild(healthy)).toMatchObject({ signal: null, code: 0 });
  });

  test("NaN weights load unless the tensors are checked", async () => {
    const path = join(folder, "nan.gguf");
    await writeNanModel(path);
    await (await llama.loadModel({ modelPath: path })).dispose();
    // Its own, here and below: an instance that has refused a model and loaded others never ends its dispose().
    await using strict = await startLlama();
    await expect(strict.loadModel({ modelPath: path, checkTensors: true })).rejects.toThrow();
  });

  test.each([
    ["truncated", writeTruncatedModel],
    ["bad magic", writeBadMagicModel],
    ["unknown architecture", writeUnknownArchitectureModel],
  ] as const)("%s is refused", async (name, write) => {
    const path = join(folder, `${name}.gguf`);
    await write(path);
    await using strict = await startLlama();
    await expect(strict.loadModel({ modelPath: path })).rejects.toThrow();
  });
});

function startLlama(): Promise<Llama> {
  return getLlama({ build: "never", maxThreads: 1, logLevel: LlamaLogLevel.disabled });
}

async function generate(
  model: LlamaModel,
  prompt: string,
  options: { maxTokens: number; temperature?: number; pastEnd?: boolean },
): Promise<{ tokens: Token[]; text: string }> {
  await using context = await model.createContext({ contextSize: 1024, threads: 1 });
  const sequence = context.getSequence();
  const tokens: Token[] = [];
  const evaluation = sequence.evaluate(model.tokenize(prompt, true), {
    temperature: options.temperature ?? 0,
    seed: 1,
    yieldEogToken: true,
  });
  for await (const token of evaluation) {
    tokens.push(token);
    if ((model.isEogToken(token) && !options.pastEnd) || tokens.length === options.maxTokens) break;
  }
  return { tokens, text: model.detokenize(tokens, true) };
}

interface ChildEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** Loads and decodes in a process of its own, whose death can be watched. */
function decodeInChild(path: string): Promise<ChildEnd> {
  const program = `
    import { writeSync } from "node:fs"; // an abort loses what a pipe still buffers
    import { getLlama } from "node-llama-cpp";
    process.execArgv.length = 0; // node-llama-cpp starts a child of its own, which would run this program again
    const llama = await getLlama({ build: "never", maxThreads: 1 });
    const model = await llama.loadModel({ modelPath: ${JSON.stringify(path)} });
    const context = await model.createContext({ contextSize: 64, threads: 1 });
    writeSync(1, "loaded ");
    await context.getSequence().evaluateWithoutGeneratingNewTokens(model.tokenize("hello"));
    writeSync(1, "decoded ");
    await llama.dispose();`;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--input-type=module", "--eval", program],
      { cwd: import.meta.dirname },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, signal: child.signalCode, output: stdout + stderr });
      },
    );
  });
}

/** What the weights take in Q4_0; `share`: how much of a tensor counts. */
function tensorBytes(shape: ModelShape, share: (plan: { name: string }) => number): number {
  return planTensors(shape, QWEN3_VOCABULARY)
    .map((plan) => {
      const weights = plan.shape.reduce((product, length) => product * length, 1);
      return encodedBytes(tensorTypeOf(plan, "q4_0"), weights) * share(plan);
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}
