import { describe, expect, test } from "vitest";
import { defaultCatalogueFile, loadCatalogue } from "./catalogue.ts";
import { computedFileBytes, quantizationName } from "./quantizations.ts";
import { QWEN_FAMILIES } from "./qwen-families.ts";

// What models.yaml says of real models, held against what else it says and against what the families say.

const { entries } = await loadCatalogue(defaultCatalogueFile());
const real = entries.filter(({ family }) => family !== null);

test("every family has models, and the sizes that the releases have", () => {
  expect(new Set(real.map(({ family }) => family))).toEqual(new Set(Object.keys(QWEN_FAMILIES)));
  const sizes = (prefix: RegExp) => real.filter(({ alias }) => prefix.test(alias)).length;
  expect(sizes(/^qwen1\.5-/)).toBe(8);
  expect(sizes(/^qwen2-/)).toBe(5);
  expect(sizes(/^qwen2\.5-\d/)).toBe(7);
  expect(sizes(/^qwen2\.5-coder-/)).toBe(6);
  expect(sizes(/^qwen3-[\d.]+b(-a\d+b)?$/)).toBe(8);
  expect(sizes(/-(instruct|thinking)-2507$/)).toBe(6);
  expect(sizes(/^qwen3-coder-/)).toBe(2);
  expect(sizes(/^qwen3-embedding-/)).toBe(3);
});

describe.each(real.map((entry) => ({ alias: entry.alias, entry })))("$alias", ({ entry }) => {
  test("knows its source, its size and its shape", () => {
    const { source, fileBytes, quantizations, parameters, attention } = entry;
    if (source.kind !== "hf" || parameters === null || attention === null)
      throw new Error("a fact is missing");
    // The repository is called like the model, whoever keeps it.
    expect(source.repo.replace(/^.*\/(.*)-GGUF$/, "$1")).toBe(entry.aliases[0]);
    expect(quantizations).toContain(quantizationName(source.quantization));
    expect(parameters.active).toBeLessThanOrEqual(parameters.total);
    expect([64, 128]).toContain(attention.headDim);
    for (const [quantization, bytes] of Object.entries(fileBytes)) {
      const ratio = bytes / (computedFileBytes(parameters.total, quantization) ?? 0);
      // Below 2B embeddings weigh most, and are kept finer than the rest or even twice.
      const [low, high] = parameters.total < 3.5e9 ? [0.95, 1.75] : [0.92, 1.08];
      expect(ratio, `${quantization} against its computed size`).toBeGreaterThan(low);
      expect(ratio, `${quantization} against its computed size`).toBeLessThan(high);
    }
  });

  test("asks for no more context than it was trained for, and is good for something", () => {
    expect(entry.contextTokens).toBeLessThanOrEqual(entry.nativeContextTokens ?? 0);
    expect(entry.yarnContextTokens ?? Number.POSITIVE_INFINITY).toBeGreaterThan(
      entry.nativeContextTokens ?? 0,
    );
    expect(Object.keys(entry.goodFor)).not.toEqual([]);
    expect("embedding" in entry.goodFor).toBe(entry.kind === "embedding");
  });
});
