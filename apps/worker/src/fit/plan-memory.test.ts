import { expect, test } from "vitest";
import type { ModelShape } from "./model-shape.ts";
import { fits, type Memories, neededBytes, type PlanRequest, planMemory, spareBytes } from "./plan-memory.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** Qwen3-8B in Q4_K_M, rounded. */
const SHAPE: ModelShape = {
  vocabulary: 151_936,
  hidden: 4_096,
  heads: 32,
  queryWidth: 4_096,
  feedForwardWidth: 12_288,
  experts: null,
  blocks: Array.from({ length: 36 }, () => ({ weightsBytes: 110 * MIB, kvWidth: 2 * 8 * 128 })),
  inputBytes: 330 * MIB,
  outputBytes: 490 * MIB,
  head: "own",
  largestTensorBytes: 490 * MIB,
};
const REQUEST: PlanRequest = {
  slots: 8,
  contextTokens: 8_192,
  kvType: "f16",
  flashAttention: "auto",
  gpuLayers: "max",
  adapterBytes: 0,
};
const memory = (name: string, freeBytes: number, keptBackBytes = 0) => ({ name, freeBytes, keptBackBytes });
const ON_CPU: Memories = { ram: memory("RAM", 32 * GIB), gpu: null };
const ON_GPU: Memories = { ram: memory("RAM", 32 * GIB), gpu: memory("cuda:0", 16 * GIB) };

test("on a CPU all of it lies in RAM: weights, 144 KiB of KV a token, and the buffer of the logits", () => {
  const { shares, gpuLayers } = planMemory(SHAPE, REQUEST, ON_CPU);
  expect(gpuLayers).toBe(0);
  expect(shares).toHaveLength(1);
  expect(shares[0]).toMatchObject({
    name: "RAM",
    weightsBytes: (330 + 36 * 110 + 490) * MIB,
    kvBytes: 8 * 8_192 * 144 * 1_024,
    // Logits of 512 tokens with two rows of hidden numbers, and those that are handed out for 8 slots.
    computeBytes: 512 * 4 * (151_936 + 2 * 4_096) + 8 * 151_936 * 4,
  });
});

test("a q8_0 cache takes 34 bytes for 32 numbers, and llama.cpp rounds a slot up to 256 tokens", () => {
  const kvBytes = (change: Partial<PlanRequest>) =>
    planMemory(SHAPE, { ...REQUEST, ...change }, ON_CPU).shares[0]?.kvBytes;
  expect(kvBytes({ kvType: "q8_0" })).toBe(((8 * 8_192 * 144 * 1_024) / 2) * (34 / 32));
  expect(kvBytes({ contextTokens: 8_000 })).toBe(8 * 8_192 * 144 * 1_024);
  expect(kvBytes({ contextTokens: 1, slots: 1 })).toBe(256 * 144 * 1_024);
});

test("on a GPU the embeddings stay in RAM, unless they are the output head too", () => {
  const [gpu, ram] = planMemory(SHAPE, REQUEST, ON_GPU).shares;
  expect(gpu).toMatchObject({ name: "cuda:0", weightsBytes: (36 * 110 + 490) * MIB, kvBytes: 9 * GIB });
  expect(ram).toMatchObject({ name: "RAM", weightsBytes: 330 * MIB, kvBytes: 0 });

  const tied: ModelShape = { ...SHAPE, head: "tied", outputBytes: 330 * MIB };
  const [tiedGpu, tiedRam] = planMemory(tied, REQUEST, ON_GPU).shares;
  expect([tiedGpu?.weightsBytes, tiedRam?.weightsBytes]).toEqual([(36 * 110 + 330) * MIB, 330 * MIB]);
  const [onCpu] = planMemory(tied, REQUEST, ON_CPU).shares;
  expect(onCpu?.weightsBytes).toBe((36 * 110 + 330) * MIB);
});

test("layers go to the GPU from the end: the head first, and the cache with its layer", () => {
  const shares = (gpuLayers: number) => planMemory(SHAPE, { ...REQUEST, gpuLayers }, ON_GPU).shares;
  // Without a layer it still computes prompts.
  expect(shares(0)[0]).toMatchObject({ weightsBytes: 0, kvBytes: 0 });
  expect(shares(0)[0]?.computeBytes).toBeGreaterThan(490 * MIB);
  expect(shares(0)[1]).toMatchObject({ weightsBytes: (36 * 110 + 330 + 490) * MIB, kvBytes: 9 * GIB });
  expect(shares(1)[0]).toMatchObject({ weightsBytes: 490 * MIB, kvBytes: 0 });
  expect(shares(19)[0]).toMatchObject({ weightsBytes: (18 * 110 + 490) * MIB, kvBytes: 4.5 * GIB });
  expect(shares(19)[1]).toMatchObject({ weightsBytes: (18 * 110 + 330) * MIB, kvBytes: 4.5 * GIB });
  expect(shares(99)).toEqual(shares(37));
});

test("auto puts as many layers on the GPU as fit", () => {
  const plan = (gpuBytes: number) =>
    planMemory(SHAPE, { ...REQUEST, gpuLayers: "auto" }, { ...ON_GPU, gpu: memory("cuda:0", gpuBytes) });
  expect(plan(16 * GIB).gpuLayers).toBe(37);
  const half = plan(8 * GIB);
  expect(fits(half)).toBe(true);
  const more = planMemory(
    SHAPE,
    { ...REQUEST, gpuLayers: half.gpuLayers + 1 },
    { ...ON_GPU, gpu: memory("cuda:0", 8 * GIB) },
  );
  expect(fits(more)).toBe(false);
  expect(plan(0).gpuLayers).toBe(0);
});

test("without flash attention every head's scores need room", () => {
  const compute = (flashAttention: PlanRequest["flashAttention"]) =>
    planMemory(SHAPE, { ...REQUEST, flashAttention }, ON_CPU).shares[0]?.computeBytes ?? 0;
  // 8,192 × 512 scores of 32 heads, and their mask, in F32.
  expect(compute("off")).toBeGreaterThan(8_192 * 512 * 4 * 33);
  expect(compute("on")).toBe(compute("auto"));
  expect(compute("on")).toBeLessThan(400 * MIB);
});

test("experts compute side by side, those in use only", () => {
  const sparse = (used: number): ModelShape => ({
    ...SHAPE,
    vocabulary: 1_000,
    feedForwardWidth: 0,
    experts: { used, feedForwardWidth: 768 },
  });
  const compute = (used: number) => planMemory(sparse(used), REQUEST, ON_CPU).shares[0]?.computeBytes ?? 0;
  expect(compute(8) - compute(4)).toBe(512 * 4 * 4 * (2 * 4_096 + 768));
});

test("what is kept back is not there to be used, and adapters count as weights", () => {
  const [share] = planMemory(SHAPE, { ...REQUEST, adapterBytes: 100 * MIB }, ON_CPU).shares;
  const [without] = planMemory(SHAPE, REQUEST, ON_CPU).shares;
  if (share === undefined || without === undefined) throw new Error("a CPU has one share");
  expect(neededBytes(share) - neededBytes(without)).toBe(100 * MIB);
  expect(spareBytes(without)).toBe(32 * GIB - neededBytes(without));

  const exactly = (keptBackBytes: number) =>
    planMemory(SHAPE, REQUEST, { ram: memory("RAM", neededBytes(without) + GIB, keptBackBytes), gpu: null });
  expect(fits(exactly(GIB))).toBe(true);
  expect(fits(exactly(GIB + 1))).toBe(false);
});
