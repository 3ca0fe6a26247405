import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { QWEN3_0_6B, type RandomModelOptions, writeRandomModel } from "@quern/testing/gguf/random-model";
import { writeSplitModel } from "@quern/testing/gguf/split-model";
import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelShape } from "./model-shape.ts";
import {
  BATCH_TOKENS,
  type Memories,
  type MemoryShare,
  type PlanRequest,
  planMemory,
} from "./plan-memory.ts";

// The arithmetic against the sizes that llama.cpp reports of its buffers, after it has allocated them.

const MODELS = join(import.meta.dirname, "..", "..", "..", "..", "models");
const MEMORIES: Memories = { ram: { name: "RAM", freeBytes: 2 ** 40, keptBackBytes: 0 }, gpu: null };

/** Larger than the tiny ones, so that buffers that grow with different lengths show; a few megabytes each. */
const WIDE = {
  hidden: 512,
  feedForward: 1_536,
  heads: 8,
  kvHeads: 4,
  contextLength: 32_768,
  weights: "q8_0",
} as const;
const SHAPES: Record<string, RandomModelOptions> = {
  qwen2: { ...WIDE, architecture: "qwen2" },
  qwen3: { ...WIDE, architecture: "qwen3", headDim: 128 },
  qwen2moe: { ...WIDE, architecture: "qwen2moe", experts: 16, expertsUsed: 4, expertFeedForward: 256 },
  qwen3moe: {
    ...WIDE,
    architecture: "qwen3moe",
    headDim: 64,
    experts: 32,
    expertsUsed: 8,
    expertFeedForward: 192,
  },
  "qwen3 with a real vocabulary and a tied head": {
    ...QWEN3_0_6B,
    layers: 2,
    hidden: 256,
    feedForward: 768,
    weights: "q8_0",
  },
};

const REQUEST: PlanRequest = {
  slots: 1,
  contextTokens: 1_024,
  kvType: "f16",
  flashAttention: "auto",
  gpuLayers: "max",
  adapterBytes: 0,
};
const REQUESTS: Partial<PlanRequest>[] = [
  { slots: 1, contextTokens: 2_048 },
  { slots: 8, contextTokens: 1_000 },
  { slots: 64, contextTokens: 256 },
  { slots: 1, contextTokens: 16_384 },
  { slots: 4, contextTokens: 1_024, kvType: "q8_0" },
  { slots: 2, contextTokens: 4_096, flashAttention: "off" },
];

let llama: Llama;
let folder: string;

beforeAll(async () => {
  llama = await getLlama({ build: "never", gpu: false, maxThreads: 1, logLevel: LlamaLogLevel.disabled });
  folder = await mkdtemp(join(tmpdir(), "quern-fit-"));
});
afterAll(async () => {
  await llama.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** What llama.cpp holds, in bytes, beside the plan for the same. */
async function compare(path: string, request: PlanRequest): Promise<{ share: MemoryShare; real: Real }> {
  const shape = modelShape(await readGgufHeader(path));
  const [share] = shape === null ? [] : planMemory(shape, request, MEMORIES).shares;
  if (share === undefined) throw new Error(`${path} can't be planned`);
  await using model = await llama.loadModel({ modelPath: path });
  await using context = await model.createContext({
    sequences: request.slots,
    contextSize: request.contextTokens,
    batchSize: BATCH_TOKENS,
    threads: 1,
    flashAttention: request.flashAttention === "auto" ? "auto" : request.flashAttention === "on",
    experimentalKvCacheKeyType: request.kvType === "q8_0" ? "Q8_0" : "F16",
    experimentalKvCacheValueType: request.kvType === "q8_0" ? "Q8_0" : "F16",
  });
  return { share, real: { weightsBytes: model.size, contextBytes: context.memoryUsage.ram } };
}

interface Real {
  weightsBytes: number;
  /** KV cache and compute buffers together. */
  contextBytes: number;
}

/** Weights and KV are exact, so what the plan and llama.cpp differ by is the compute buffers. */
function expectClose({ share, real }: { share: MemoryShare; real: Real }): void {
  expect(share.weightsBytes).toBe(real.weightsBytes);
  const compute = real.contextBytes - share.kvBytes;
  expect(compute).toBeGreaterThan(0);
  // Too little would let a model in that doesn't fit; too much would keep one out that does.
  expect(share.computeBytes / compute).toBeGreaterThan(0.95);
  expect(share.computeBytes / compute).toBeLessThan(1.6);
}

test.each(Object.keys(SHAPES))("%s lies in RAM as planned, for small and large slots", async (name) => {
  const path = join(folder, "shape.gguf");
  await writeRandomModel(path, SHAPES[name]);
  for (const change of REQUESTS) expectClose(await compare(path, { ...REQUEST, ...change }));
});

test.each(["tiny-qwen3-q8_0.gguf", "tiny-qwen3moe-q8_0.gguf"])("so does %s", async (file) => {
  expectClose(await compare(join(MODELS, file), { ...REQUEST, slots: 8 }));
});

test("the cache is planned to the byte", async () => {
  const path = join(folder, "cache.gguf");
  await writeRandomModel(path, SHAPES.qwen3);
  // Both decode 512 tokens over slots of one length, so only the cache is larger.
  const small = await compare(path, { ...REQUEST, slots: 8, contextTokens: 1_024 });
  const large = await compare(path, { ...REQUEST, slots: 16, contextTokens: 1_024 });
  expect(large.real.contextBytes - small.real.contextBytes).toBe(large.share.kvBytes - small.share.kvBytes);
});

test("a split model counts all its parts", async () => {
  const first = await writeSplitModel(join(folder, "split"), SHAPES.qwen3);
  const whole = join(folder, "whole.gguf");
  await writeRandomModel(whole, SHAPES.qwen3);
  const compared = await compare(first, REQUEST);
  expectClose(compared);
  expect(compared.share.weightsBytes).toBe((await compare(whole, REQUEST)).share.weightsBytes);
});
