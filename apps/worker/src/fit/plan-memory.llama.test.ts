import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { QWEN3_0_6B, type RandomModelOptions, writeRandomModel } from "@quern/testing/gguf/random-model";
import { writeSplitModel } from "@quern/testing/gguf/split-model";
import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ModelShape, modelShape } from "./model-shape.ts";
import {
  BATCH_TOKENS,
  type Memories,
  type MemoryPlan,
  type MemoryShare,
  type PlanRequest,
  planMemory,
} from "./plan-memory.ts";

// The arithmetic against the sizes that llama.cpp reports of its buffers, after it has allocated them: on the GPU too,
// where there is one.

const MODELS = join(import.meta.dirname, "..", "..", "..", "..", "models");
/** What a GPU leaves to RAM are buffers of a few megabytes, whose shares don't matter. */
const FEW_BYTES = 8 * 2 ** 20;
const PLENTY = { freeBytes: 2 ** 40, keptBackBytes: 0 };

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
  "qwen3 with a large vocabulary and a tied head": {
    ...QWEN3_0_6B,
    vocabulary: 60_000,
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
let memories: Memories;
let folder: string;

beforeAll(async () => {
  llama = await getLlama({ build: "never", maxThreads: 1, logLevel: LlamaLogLevel.disabled });
  const gpu = llama.gpu === false ? null : { ...PLENTY, name: llama.gpu };
  memories = { ram: { ...PLENTY, name: "RAM" }, gpu };
  folder = await mkdtemp(join(tmpdir(), "quern-fit-"));
});
afterAll(async () => {
  await llama.dispose();
  await rm(folder, { recursive: true, force: true });
});

interface Compared {
  shape: ModelShape;
  plan: MemoryPlan;
  /** In the order of the plan's shares. `weightsBytes` null: llama.cpp counts what lies between them in the file too. */
  real: { weightsBytes: number | null; kvAndComputeBytes: number }[];
}

async function compare(path: string, request: PlanRequest): Promise<Compared> {
  const shape = modelShape(await readGgufHeader(path));
  if (shape === null) throw new Error(`${path} can't be planned`);
  const plan = planMemory(shape, request, memories);
  await using model = await llama.loadModel({ modelPath: path, gpuLayers: plan.gpuLayers });
  await using context = await model.createContext({
    sequences: request.slots,
    contextSize: request.contextTokens,
    batchSize: BATCH_TOKENS,
    threads: 1,
    flashAttention: request.flashAttention === "auto" ? "auto" : request.flashAttention === "on",
    experimentalKvCacheKeyType: request.kvType === "q8_0" ? "Q8_0" : "F16",
    experimentalKvCacheValueType: request.kvType === "q8_0" ? "Q8_0" : "F16",
  });
  const { ram, vram } = context.memoryUsage;
  const onGpu = { weightsBytes: model.memoryUsage.vram, kvAndComputeBytes: vram };
  // The logits that are handed out, a row in F32 for each slot, are not in llama.cpp's report.
  const handedOutBytes = shape.vocabulary * request.slots * 4;
  const inRam = { weightsBytes: null, kvAndComputeBytes: ram + handedOutBytes };
  const real = memories.gpu === null ? [{ ...inRam, weightsBytes: model.size }] : [onGpu, inRam];
  return { shape, plan, real };
}

/** Weights and KV are exact, so what the plan and llama.cpp differ by is the compute buffers. */
function expectClose({ plan, real }: Compared): void {
  expect(plan.shares).toHaveLength(real.length);
  for (const [position, { weightsBytes, kvAndComputeBytes }] of real.entries()) {
    const share = plan.shares[position] as MemoryShare;
    if (weightsBytes !== null) expect(share.weightsBytes).toBe(weightsBytes);
    const compute = kvAndComputeBytes - share.kvBytes;
    expect(compute).toBeGreaterThan(0);
    // Too little would let a model in that doesn't fit; too much would keep one out that does.
    const context = JSON.stringify(plan);
    expect(share.computeBytes / compute, context).toBeGreaterThan(0.95);
    const besideGpu = weightsBytes === null;
    expect(share.computeBytes, context).toBeLessThan(compute * 1.6 + (besideGpu ? FEW_BYTES : 0));
  }
}

test.each(Object.keys(SHAPES))("%s lies in memory as planned, for small and large slots", async (name) => {
  const path = join(folder, "shape.gguf");
  await writeRandomModel(path, SHAPES[name]);
  for (const change of REQUESTS) expectClose(await compare(path, { ...REQUEST, ...change }));
  if (memories.gpu === null) return;
  for (const gpuLayers of [2, 1, 0]) expectClose(await compare(path, { ...REQUEST, slots: 4, gpuLayers }));
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
  const grown = (large.real[0]?.kvAndComputeBytes ?? 0) - (small.real[0]?.kvAndComputeBytes ?? 0);
  expect(grown).toBeGreaterThan(0);
  const planned = (large.plan.shares[0]?.kvBytes ?? 0) - (small.plan.shares[0]?.kvBytes ?? 0);
  // On a CPU the rows of eight more slots come with it.
  const { shape } = large;
  expect(grown - planned).toBe(memories.gpu === null ? shape.vocabulary * 8 * 4 : 0);
});

test("a split model counts all its parts", async () => {
  const first = await writeSplitModel(join(folder, "split"), SHAPES.qwen3);
  const whole = join(folder, "whole.gguf");
  await writeRandomModel(whole, SHAPES.qwen3);
  const split = await compare(first, REQUEST);
  expectClose(split);
  expect(split.plan).toEqual((await compare(whole, REQUEST)).plan);
});
