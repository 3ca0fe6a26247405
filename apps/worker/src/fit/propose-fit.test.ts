import { expect, test } from "vitest";
import type { ModelShape } from "./model-shape.ts";
import { fits, type Memories, type PlanRequest, planMemory } from "./plan-memory.ts";
import { proposeFit } from "./propose-fit.ts";

const MIB = 2 ** 20;

/** 1 MiB of KV for 256 tokens in f16, 20 MiB of weights, a head of 2. */
const SHAPE: ModelShape = {
  vocabulary: 100,
  hidden: 64,
  heads: 4,
  queryWidth: 64,
  feedForwardWidth: 128,
  experts: null,
  blocks: Array.from({ length: 10 }, () => ({ weightsBytes: 2 * MIB, kvWidth: 2 * 102.4 })),
  inputBytes: MIB,
  outputBytes: 2 * MIB,
  head: "own",
  largestTensorBytes: 2 * MIB,
};
const REQUEST: PlanRequest = {
  slots: 8,
  contextTokens: 4_096,
  kvType: "f16",
  flashAttention: "auto",
  gpuLayers: "max",
  adapterBytes: 0,
};

function onCpu(freeMib: number): Memories {
  return { ram: { name: "RAM", freeBytes: freeMib * MIB, keptBackBytes: 0 }, gpu: null };
}

function onGpu(freeMib: number): Memories {
  return { ...onCpu(4_096), gpu: { name: "cuda:0", freeBytes: freeMib * MIB, keptBackBytes: 0 } };
}

/** What of the request is changed by the proposal, which always fits. */
function changes(memories: Memories, request = REQUEST, kvTypes: PlanRequest["kvType"][] = ["f16", "q8_0"]) {
  expect(fits(planMemory(SHAPE, request, memories))).toBe(false);
  const proposal = proposeFit(SHAPE, request, memories, kvTypes);
  if (proposal === null) return null;
  expect(fits(proposal)).toBe(true);
  const { slots, contextTokens, kvType, gpuLayers } = proposal;
  return { slots, contextTokens, kvType, ...(memories.gpu === null ? {} : { gpuLayers }) };
}

test("fewer slots before anything else: as many as fit", () => {
  // 23 MiB of weights and some of buffers; 16 MiB a slot.
  expect(changes(onCpu(110))).toEqual({ slots: 5, contextTokens: 4_096, kvType: "f16" });
  expect(changes(onCpu(46))).toEqual({ slots: 1, contextTokens: 4_096, kvType: "f16" });
});

test("then less context: as much as fits", () => {
  const proposal = changes(onCpu(36));
  expect(proposal).toMatchObject({ slots: 1, kvType: "f16" });
  expect(proposal?.contextTokens).toBeGreaterThanOrEqual(1_024);
  expect(proposal?.contextTokens).toBeLessThan(4_096);
  const more = { ...REQUEST, slots: 1, contextTokens: (proposal?.contextTokens ?? 0) + 256 };
  expect(fits(planMemory(SHAPE, more, onCpu(36)))).toBe(false);
});

test("then a quantized cache, where the model and flash attention allow one", () => {
  expect(changes(onCpu(29))).toMatchObject({ slots: 1, kvType: "q8_0" });
  expect(changes(onCpu(29), REQUEST, ["f16"])).toBeNull();
  expect(changes(onCpu(29), { ...REQUEST, flashAttention: "off" })).toBeNull();
});

test("then fewer layers on the GPU, with all slots if the RAM has room", () => {
  const proposal = changes(onGpu(18));
  expect(proposal).toMatchObject({ slots: 8, contextTokens: 4_096, kvType: "f16" });
  expect(proposal?.gpuLayers).toBeLessThan(11);
  expect(changes(onGpu(110))).toMatchObject({ gpuLayers: 11 });
});

test("nothing, when not even the weights fit", () => {
  expect(changes(onCpu(20))).toBeNull();
  expect(changes({ ...onCpu(20), gpu: { name: "cuda:0", freeBytes: 0, keptBackBytes: 0 } })).toBeNull();
});
