import { expect, test } from "vitest";
import { estimateMemory, kvBytesPerTokenF16, OVERHEAD_BYTES, slotsThatFit } from "./memory-estimate.ts";

const QWEN3_8B = { layers: 36, kvHeads: 8, headDim: 128 };
const NEEDS = {
  weightsBytes: 5_027_783_488,
  kvBytesPerTokenF16: kvBytesPerTokenF16(QWEN3_8B),
  contextTokens: 8_192,
  slots: 8,
};

test("keys and values of a token: layers × heads × their width, twice, in two bytes", () => {
  expect(kvBytesPerTokenF16(QWEN3_8B)).toBe(144 * 1024);
  expect(kvBytesPerTokenF16({ layers: 48, kvHeads: 4, headDim: 128 })).toBe(96 * 1024);
});

test("a model takes its weights, its slots, and what the computation needs", () => {
  const f16 = estimateMemory({ ...NEEDS, kvType: "f16" });
  expect(f16.kvBytes).toBe(9 * 1024 ** 3);
  expect(f16.totalBytes).toBe(NEEDS.weightsBytes + 9 * 1024 ** 3 + OVERHEAD_BYTES);
  // 34 bytes for 32 numbers instead of 64.
  expect(estimateMemory({ ...NEEDS, kvType: "q8_0" }).kvBytes).toBe((9 * 1024 ** 3 * 34) / 64);
});

test.each(["f16", "q8_0"] as const)("the slots that fit (%s) do, and one more doesn't", (kvType) => {
  const budgetBytes = 12 * 1024 ** 3;
  const slots = slotsThatFit({ ...NEEDS, kvType }, budgetBytes);
  expect(slots).toBeGreaterThan(0);
  expect(estimateMemory({ ...NEEDS, kvType, slots }).totalBytes).toBeLessThanOrEqual(budgetBytes);
  expect(estimateMemory({ ...NEEDS, kvType, slots: slots + 1 }).totalBytes).toBeGreaterThan(budgetBytes);
});

test("where not even the weights fit, no slot does", () => {
  expect(slotsThatFit({ ...NEEDS, kvType: "q8_0" }, 4 * 1024 ** 3)).toBe(0);
});
