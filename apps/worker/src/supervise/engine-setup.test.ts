import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { writeLoraAdapter } from "@quern/testing/gguf/lora-adapter";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { writeSplitModel } from "@quern/testing/gguf/split-model";
import { afterAll, beforeAll, expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import { engineRequest, PreparedEngine } from "../prepared-engine.fixture.ts";
import type { EngineOptions, LoadedModelFacts } from "../protocol/engine-options.ts";
import { DEFAULT_CHILD } from "./engine-process.ts";
import { pinGpu } from "./pin-gpu.ts";

const never = new AbortController().signal;
let folder: string;
let model: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-setup-"));
  model = join(folder, "model.gguf");
  await writeRandomModel(model, { headDim: 32, weights: "q8_0" });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What an engine with these options says to a prompt, and what it knows of its model. */
async function speak(changes: Partial<EngineOptions>): Promise<{ text: string; facts: LoadedModelFacts }> {
  const engine = await PreparedEngine.start(engineOptions(model, changes));
  try {
    const request = generationRequest({ templateOptions: { enable_thinking: false }, maxTokens: 16 });
    const { result } = await engine.generate(
      engineRequest("job_1", request),
      { deltas: () => {}, restarted: () => {} },
      never,
    );
    return { text: result.text, facts: engine.facts };
  } finally {
    await engine.close();
  }
}

test("a LoRA adapter changes what is said, and with scale 0 it doesn't", async () => {
  const path = join(folder, "lora.gguf");
  await writeLoraAdapter(path, { headDim: 32 });
  const plain = await speak({});
  expect((await speak({ loras: [{ path, scale: 1 }] })).text).not.toBe(plain.text);
  expect((await speak({ loras: [{ path, scale: 0 }] })).text).toBe(plain.text);
});

test("a quantized cache is smaller, and attention that isn't fused needs more room", async () => {
  const [fused, quantized, unfused] = [
    await speak({ contextTokens: 4_096, flashAttention: "on" }),
    await speak({ contextTokens: 4_096, kvType: "q8_0" }),
    await speak({ contextTokens: 4_096, flashAttention: "off" }),
  ].map(({ facts }) => facts.contextBytes);
  // 4,096 tokens × 2 layers × 2 heads × 32 numbers, keys and values: 2 MiB in f16, 17/32 of it in q8_0.
  expect((fused ?? 0) - (quantized ?? 0)).toBeGreaterThan(0.4 * 2 * 2 ** 20);
  // 4,096 × 512 scores of 4 heads in F32.
  expect((unfused ?? 0) - (fused ?? 0)).toBeGreaterThan(4_096 * 512 * 4 * 4);
});

test("tells what it loaded: of a mixture of experts also what is active", async () => {
  const path = join(folder, "moe.gguf");
  await writeRandomModel(path, { architecture: "qwen3moe", weights: "q4_0", contextLength: 777 });
  const { facts } = await speak({ modelPath: path });
  // 2 layers × 8 experts × 3 matrices of 64 × 32 weights, 2 experts in use.
  const experts = 2 * 8 * 3 * 64 * 32;
  expect(facts).toMatchObject({
    architecture: "qwen3moe",
    experts: { total: 8, used: 2 },
    quantization: "Q4_0",
    trainedContextTokens: 777,
    device: "cpu",
    gpuLayers: 0,
    memory: expect.stringMatching(
      /^weights .*, KV .* for 1 × 256 tokens, compute .* free in RAM, .* to spare$/,
    ),
  });
  expect(facts.activeParameters).toBe(facts.parameters - experts * (6 / 8));
});

test("a split model loads from its first part", async () => {
  const path = await writeSplitModel(join(folder, "split"), { headDim: 32, weights: "q8_0" });
  const split = await speak({ modelPath: path });
  const whole = await speak({});
  expect(split.text).toBe(whole.text);
  expect(split.facts.parameters).toBe(whole.facts.parameters);
});

test("the engine's process sees the one GPU that it is pinned to", async () => {
  const environment = pinGpu("1", { PATH: process.env.PATH }, "linux");
  const engine = await PreparedEngine.start(engineOptions(model), { ...DEFAULT_CHILD, environment });
  try {
    const seen = (await readFile(`/proc/${engine.pid}/environ`, "utf8")).split("\0");
    expect(seen).toEqual(
      expect.arrayContaining([
        "CUDA_VISIBLE_DEVICES=1",
        "HIP_VISIBLE_DEVICES=1",
        "GGML_VK_VISIBLE_DEVICES=1",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
      ]),
    );
  } finally {
    await engine.close();
  }
});
