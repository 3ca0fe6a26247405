import { expect, test } from "vitest";
import { defaultCatalogueFile, findModel, loadCatalogue, parseCatalogue } from "./catalogue.ts";
import { PURPOSES } from "./purposes.ts";
import { type RecommendationWish, recommend } from "./recommend.ts";

const GIB = 1024 ** 3;
const catalogue = await loadCatalogue(defaultCatalogueFile());

function wish(changes: Partial<RecommendationWish> = {}): RecommendationWish {
  return {
    purpose: "coding",
    vramBytes: 12 * GIB,
    ramBytes: null,
    contextTokens: 8_192,
    slots: 4,
    ...changes,
  };
}

function firstFitting(changes: Partial<RecommendationWish>): string | undefined {
  return recommend(catalogue.entries, wish(changes)).candidates.find(({ fit }) => fit.fits)?.alias;
}

test("the shipped catalogue has an answer to each task, and it is made for it", () => {
  expect(firstFitting({ vramBytes: 12 * GIB })).toBe("qwen2.5-coder-7b");
  expect(firstFitting({ purpose: "reasoning", vramBytes: 80 * GIB })).toBe("qwen3-30b-a3b-thinking-2507");
  expect(firstFitting({ purpose: "embedding", vramBytes: 24 * GIB })).toBe("qwen3-embedding-8b");
  for (const purpose of PURPOSES) {
    const { candidates } = recommend(catalogue.entries, wish({ purpose, vramBytes: 24 * GIB }));
    expect(candidates[0]?.level, purpose).toBe("best");
    expect(candidates[0]?.fit.fits, purpose).toBe(true);
  }
});

test("every candidate's numbers hold together, and its spec finds its entry", () => {
  const { candidates } = recommend(catalogue.entries, wish({ ramBytes: 32 * GIB, purpose: "general" }));
  expect(candidates.length).toBeGreaterThan(50);
  for (const { alias, spec, quantization, totalBytes, weights, fit } of candidates) {
    expect(totalBytes.f16).toBeGreaterThan(totalBytes.q8_0);
    expect(totalBytes.q8_0).toBeGreaterThan(weights.bytes);
    if (fit.fits) expect(totalBytes[fit.kvType]).toBeLessThanOrEqual(fit.budgetBytes);
    else expect(totalBytes.q8_0).toBeGreaterThan(44 * GIB);
    const found = findModel(catalogue, spec);
    expect(found.thinking).toBe(findModel(catalogue, alias).thinking);
    expect(found.source).toMatchObject({
      quantization: expect.stringMatching(new RegExp(`^${quantization}$`, "i")),
    });
  }
});

test("what the GPU holds alone comes before what it shares with memory, and that before what doesn't fit", () => {
  const { candidates } = recommend(catalogue.entries, wish({ ramBytes: 16 * GIB }));
  const order = candidates.map(({ fit }) => (fit.fits ? fit.placement : "nowhere"));
  expect([...new Set(order)]).toEqual(["gpu", "gpu+ram", "nowhere"]);
  expect(order).toEqual(
    [...order].sort(
      (a, b) => ["gpu", "gpu+ram", "nowhere"].indexOf(a) - ["gpu", "gpu+ram", "nowhere"].indexOf(b),
    ),
  );
});

test("keys and values go to q8_0 only where f16 does not fit", () => {
  const one = parseCatalogue(
    `models:
  m:
    source: hf:o/m-GGUF:Q8_0
    parameters: { total: 8e9 }
    fileBytes: { Q8_0: 8e9 }
    attention: { layers: 32, kvHeads: 8, headDim: 128 }
    goodFor: { coding: { level: good, reason: a test } }
`,
    "/m.yaml",
  );
  // 4 slots × 8,192 tokens × 128 KiB = 4 GiB in f16, 2.125 GiB in q8_0; weights and overhead 8.5 GiB.
  const fitWithin = (gib: number) =>
    recommend(one.entries, wish({ vramBytes: gib * GIB })).candidates[0]?.fit;
  expect(fitWithin(12.6)).toMatchObject({ fits: true, kvType: "f16" });
  expect(fitWithin(12.4)).toMatchObject({ fits: true, kvType: "q8_0" });
  expect(fitWithin(10)).toMatchObject({ fits: false, slots: 2 });
  expect(fitWithin(8)).toMatchObject({ fits: false, slots: 0 });
});

test("a model that was trained for less than the context is named, not recommended", () => {
  const { candidates, tooShort } = recommend(catalogue.entries, wish({ purpose: "maths" }));
  expect(tooShort).toEqual([{ alias: "qwen2.5-math-7b", nativeContextTokens: 4_096 }]);
  expect(candidates.some(({ alias }) => alias === "qwen2.5-math-7b")).toBe(false);
  const short = recommend(catalogue.entries, wish({ purpose: "maths", contextTokens: 4_096 }));
  expect(short.candidates.some(({ alias }) => alias === "qwen2.5-math-7b")).toBe(true);
});
