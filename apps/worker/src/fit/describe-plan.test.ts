import { expect, test } from "vitest";
import { describeChange, describePlan, planTable } from "./describe-plan.ts";
import type { MemoryPlan } from "./plan-memory.ts";

const GIB = 2 ** 30;
const PLAN: MemoryPlan = {
  slots: 16,
  contextTokens: 1_024,
  kvType: "f16",
  flashAttention: "auto",
  adapterBytes: 0,
  gpuLayers: 37,
  shares: [
    {
      name: "cuda:0",
      weightsBytes: 4.7 * GIB,
      kvBytes: 2.3 * GIB,
      computeBytes: 0.3 * GIB,
      freeBytes: 12 * GIB,
      keptBackBytes: GIB,
    },
    {
      name: "RAM",
      weightsBytes: 0.3 * GIB,
      kvBytes: 0,
      computeBytes: 5 * 2 ** 20,
      freeBytes: GIB,
      keptBackBytes: 0.8 * GIB,
    },
  ],
};

test("a line names what takes how much, what is free, and what is left or missing", () => {
  expect(describePlan(PLAN)).toBe(
    "weights 4.7 GiB, KV 2.3 GiB for 16 × 1,024 tokens, compute 0.3 GiB; 12.0 GiB free on cuda:0, 1.0 GiB kept back: " +
      "3.7 GiB to spare; and weights 0.3 GiB, compute 5.0 MiB; 1.0 GiB free in RAM, 0.8 GiB kept back: 0.1 GiB too little",
  );
});

test("a table has a column for each memory", () => {
  expect(planTable(PLAN)).toEqual([
    "16 × 1,024 tokens, KV in f16, 37 layers on the GPU",
    "             cuda:0       RAM",
    "weights     4.7 GiB   0.3 GiB",
    "KV          2.3 GiB   0.0 MiB",
    "compute     0.3 GiB   5.0 MiB",
    "needed      7.3 GiB   0.3 GiB",
    "free       12.0 GiB   1.0 GiB",
    "kept back   1.0 GiB   0.8 GiB",
    "to spare    3.7 GiB  -0.1 GiB",
  ]);
});

test("a change is told in flags", () => {
  expect(describeChange(PLAN, { ...PLAN, slots: 4 })).toBe("--slots 4");
  expect(describeChange(PLAN, { ...PLAN, slots: 1, contextTokens: 768, kvType: "q8_0", gpuLayers: 12 })).toBe(
    "--slots 1 --context-tokens 768 --kv-type q8_0 --gpu-layers 12",
  );
});
