import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { expect, test } from "vitest";
import { settleFlashAttention } from "./settle-flash-attention.ts";

const TINY = await readGgufHeader(
  new URL("../../../../models/tiny-qwen3-q8_0.gguf", import.meta.url).pathname,
);

test("auto is off for small heads on a CPU only, and only where the cache can do without", () => {
  const auto = { flashAttention: "auto", kvType: "f16" } as const;
  expect(TINY.keyLength).toBe(32);
  expect(settleFlashAttention(auto, TINY, "cpu")).toBe("off");
  expect(settleFlashAttention(auto, { ...TINY, keyLength: 128 }, "cpu")).toBe("auto");
  expect(settleFlashAttention(auto, TINY, "cuda:0")).toBe("auto");
  expect(settleFlashAttention({ ...auto, kvType: "q8_0" }, TINY, "cpu")).toBe("auto");
});

test("what was said stays", () => {
  for (const flashAttention of ["on", "off"] as const) {
    expect(settleFlashAttention({ flashAttention, kvType: "f16" }, TINY, "cpu")).toBe(flashAttention);
  }
});
