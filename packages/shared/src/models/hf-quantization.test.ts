import { expect, test } from "vitest";
import { filesOfQuantization, quantizationsOf } from "./hf-quantization.ts";

const FILES = [
  "README.md",
  "Qwen3-8B-Q4_K_M.gguf",
  "Qwen3-8B-UD-Q4_K_M.gguf",
  "Qwen3-8B-Q8_0.gguf",
  "Qwen3-8B.f16.gguf",
  "mmproj-Q8_0.gguf",
  "BF16/Qwen3-8B-BF16-00002-of-00002.gguf",
  "BF16/Qwen3-8B-BF16-00001-of-00002.gguf",
];

test.each([
  ["Q4_K_M", ["Qwen3-8B-Q4_K_M.gguf"]],
  ["q4_k_m", ["Qwen3-8B-Q4_K_M.gguf"]],
  ["UD-Q4_K_M", ["Qwen3-8B-UD-Q4_K_M.gguf"]],
  ["Q8_0", ["Qwen3-8B-Q8_0.gguf"]],
  ["F16", ["Qwen3-8B.f16.gguf"]],
  ["BF16", ["BF16/Qwen3-8B-BF16-00001-of-00002.gguf", "BF16/Qwen3-8B-BF16-00002-of-00002.gguf"]],
  ["Qwen3-8B-Q8_0.gguf", ["Qwen3-8B-Q8_0.gguf"]],
  ["K_M", []],
  ["Q5_K_M", []],
])("%s", (quantization, files) => {
  expect(filesOfQuantization(FILES, quantization)).toEqual(files);
});

test("what a repository offers", () => {
  expect(quantizationsOf(FILES)).toEqual(["BF16", "Q4_K_M", "Q8_0", "f16"]);
});
