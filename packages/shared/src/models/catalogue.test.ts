import { resolve } from "node:path";
import { expect, test } from "vitest";
import { defaultCatalogueFile, findModel, loadCatalogue, parseCatalogue } from "./catalogue.ts";
import { ALIAS } from "./catalogue-schema.ts";
import { ensureModelFile } from "./download.ts";
import { readGgufHeader } from "./gguf-header.ts";

const SMALL = parseCatalogue("models: { one: { source: ./a/one.gguf, aliases: [uno] } }", "/models/m.yaml");

test("the shipped catalogue is valid, and its demo models are the files that stand in models/", async () => {
  const catalogue = await loadCatalogue(defaultCatalogueFile());
  const architectures = { "tiny-qwen3": "qwen3", "tiny-qwen3-moe": "qwen3moe" };
  for (const [alias, architecture] of Object.entries(architectures)) {
    const entry = findModel(catalogue, alias);
    expect(entry).toMatchObject({
      thinking: "optional",
      sampling: { thinking: { temperature: 0 }, plain: { temperature: 0 } },
    });
    // Checks the digest.
    const path = await ensureModelFile(entry, {
      cacheDir: "/nonexistent",
      signal: AbortSignal.timeout(10_000),
    });
    const header = await readGgufHeader(path);
    expect(header.architecture).toBe(architecture);
    expect(header.contextLength).toBeGreaterThanOrEqual(entry.contextTokens);
  }
  expect(findModel(catalogue, "Qwen3-8B").sampling).toEqual({
    thinking: { temperature: 0.6, topP: 0.95, topK: 20, minP: 0 },
    plain: { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 },
  });
});

test("what an entry leaves out has defaults, and paths start at the catalogue's folder", () => {
  expect(SMALL.entries).toEqual([
    {
      alias: "one",
      aliases: ["uno"],
      source: { kind: "path", path: "/models/a/one.gguf" },
      sha256: null,
      contextTokens: 4096,
      slots: 4,
      kvType: "f16",
      maxThreads: null,
      kind: "chat",
      family: null,
      thinking: "optional",
      sampling: {
        thinking: { temperature: 0.6, topP: 0.95, topK: 20, minP: 0 },
        plain: { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 },
      },
      toolCalls: "hermes",
      fillInTheMiddle: false,
      nativeContextTokens: null,
      yarnContextTokens: null,
      parameters: null,
      attention: null,
      quantizations: [],
      fileBytes: {},
      goodFor: {},
    },
  ]);
});

test("what an entry leaves out is its family's, and what it says is its own", () => {
  const { entries } = parseCatalogue(
    `models:
  a: { source: "hf:o/r:q5_k_m", family: qwen3-coder }
  b:
    source: b.gguf
    family: qwq
    thinking: never
    yarnContextTokens: null
    sampling: { plain: { temperature: 0 } }
    quantizations: [q8_0]
    fileBytes: { f16: 2.5e9 }
    parameters: { total: 8e9, active: 1e9 }
    goodFor: { maths: { level: fair, reason: sums } }
`,
    "/m/m.yaml",
  );
  expect(entries[0]).toMatchObject({
    thinking: "never",
    toolCalls: "xml",
    fillInTheMiddle: true,
    nativeContextTokens: 262_144,
    goodFor: { coding: { level: "best" } },
  });
  expect(entries[0]?.quantizations[0]).toBe("Q5_K_M");
  expect(entries[1]).toMatchObject({
    thinking: "never",
    nativeContextTokens: 32_768,
    yarnContextTokens: null,
    sampling: { thinking: { topK: 40 }, plain: { temperature: 0 } },
    quantizations: ["Q8_0", "F16"],
    fileBytes: { F16: 2_500_000_000 },
    parameters: { total: 8e9, active: 1e9 },
  });
  expect(Object.keys(entries[1]?.goodFor ?? {})).toEqual(["maths"]);
});

test("a mode of sampling is replaced as a whole", () => {
  const { entries } = parseCatalogue(
    "models: { a: { source: a.gguf, sampling: { plain: { temperature: 0 } } } }",
    "/m.yaml",
  );
  expect(entries[0]?.sampling).toEqual({
    thinking: { temperature: 0.6, topP: 0.95, topK: 20, minP: 0 },
    plain: { temperature: 0 },
  });
});

test.each([
  ["a wrong type", "models:\n  a:\n    source: 5\n", /^m\.yaml:3: models\.a\.source: .*expected string/],
  [
    "a number out of range",
    "models:\n  a:\n    source: a.gguf\n    slots: 0\n",
    /^m\.yaml:4: models\.a\.slots: /,
  ],
  [
    "an unknown field",
    "models:\n  a:\n    source: a.gguf\n    contxt: 3\n",
    /^m\.yaml:4: models\.a: no such field: "contxt" \(docs\/models\.md/,
  ],
  [
    "a bad alias",
    "models:\n  ok:\n    source: a.gguf\n  'b{':\n    source: x.gguf\n",
    /^m\.yaml:4: models\.b\{: an alias is/,
  ],
  [
    "a bad source",
    "models:\n  a:\n    source: foo\n",
    /^m\.yaml:3: models\.a\.source: "foo" is not a model source: give/,
  ],
  [
    "a bad hf source",
    "models:\n  a:\n    source: hf:Qwen/X\n",
    /^m\.yaml:3: models\.a\.source: "hf:Qwen\/X" is not/,
  ],
  [
    "a bad digest",
    "models:\n  a:\n    source: a.gguf\n    sha256: abc\n",
    /^m\.yaml:4: .*64 hexadecimal digits/,
  ],
  ["a missing source", "models:\n  a:\n    slots: 1\n", /^m\.yaml:2: models\.a\.source: /],
  [
    "a deep fault",
    "models:\n  a:\n    source: a.gguf\n    sampling:\n      plain:\n        temperature: 9\n",
    /^m\.yaml:6: models\.a\.sampling\.plain\.temperature: /,
  ],
  [
    "an alias in a list",
    "models:\n  a:\n    source: a.gguf\n    aliases:\n      - b\n      - 'c:d'\n",
    /^m\.yaml:6: /,
  ],
  [
    "a name used twice",
    "models:\n  a:\n    source: a.gguf\n  b:\n    source: b.gguf\n    aliases: [a]\n",
    /^m\.yaml:4: models\.b: the name "a" is already taken/,
  ],
  [
    "a key used twice",
    "models:\n  a:\n    source: a.gguf\n  a:\n    source: b.gguf\n",
    /^m\.yaml:4: Map keys must be unique/,
  ],
  ["broken YAML", "models:\n  a: [\n", /^m\.yaml:\d: /],
  [
    "an unknown family",
    "models:\n  a:\n    source: a.gguf\n    family: qwen9\n",
    /^m\.yaml:4: models\.a\.family: .*"qwen3-coder"/,
  ],
  [
    "an unknown quantization",
    "models:\n  a:\n    source: a.gguf\n    quantizations: [Q4_K_M, Q4]\n",
    /^m\.yaml:4: models\.a\.quantizations\.1: it must be one of Q2_K, /,
  ],
  [
    "more active than total parameters",
    "models:\n  a:\n    source: a.gguf\n    parameters: { total: 1e9, active: 2e9 }\n",
    /^m\.yaml:4: models\.a\.parameters: active can't be more than total/,
  ],
  ["an empty file", "", /^m\.yaml:1: /],
  ["no models", "models: {}\n", /^m\.yaml:1: models: list at least one model/],
])("%s is refused with its line", (_name, text, message) => {
  expect(() => parseCatalogue(text, "m.yaml")).toThrow(
    expect.objectContaining({ code: "catalogue_invalid", message: expect.stringMatching(message) }),
  );
});

test("all faults are told at once", () => {
  const text = "models:\n  a:\n    source: foo\n    slots: 0\n";
  expect(() => parseCatalogue(text, "m.yaml")).toThrow(/m\.yaml:3: .*; m\.yaml:4: /);
});

test("a catalogue that isn't there names the cure", async () => {
  await expect(loadCatalogue("/nonexistent/models.yaml")).rejects.toMatchObject({
    code: "catalogue_invalid",
    message: expect.stringContaining("QUERN_MODELS_FILE"),
  });
});

test("findModel knows both kinds of names", () => {
  expect(findModel(SMALL, "one")).toBe(SMALL.entries[0]);
  expect(findModel(SMALL, "uno")).toBe(SMALL.entries[0]);
  expect(findModel(SMALL, "/models/a/one.gguf")).toBe(SMALL.entries[0]);
});

test.each([
  ["./some where/My Model (v2).gguf", "My-Model-v2-"],
  ["/m/Qwen3-8B-Q4_K_M-00001-of-00003.gguf", "Qwen3-8B-Q4_K_M"],
  ["/m/__odd.gguf", "odd"],
  ["/blobs/sha256-abc", "sha256-abc"],
  ["/m/…….gguf", "model"],
  [`/m/${"x".repeat(90)}.gguf`, "x".repeat(64)],
  ["hf:unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL", "Qwen3-8B-UD-Q4_K_XL"],
  ["hf:a/b:sub/other-model.gguf", "other-model"],
  ["https://example.com/m/file.gguf?download=true", "file"],
])("a model outside the catalogue, %s, is called %s", (spec, alias) => {
  const entry = findModel(SMALL, spec);
  expect(entry).toMatchObject({ alias, aliases: [], sha256: null, contextTokens: 4096, slots: 4 });
  expect(entry.alias).toMatch(ALIAS);
});

test("another file of the same name gets a name of its own, always the same", () => {
  const entry = findModel(SMALL, "elsewhere/one.gguf");
  expect(entry.alias).toMatch(/^one-[0-9a-f]{8}$/);
  expect(entry.source).toEqual({ kind: "path", path: resolve("elsewhere/one.gguf") });
  expect(findModel(SMALL, "elsewhere/one.gguf").alias).toBe(entry.alias);
});

test.each(["two", "hf:nothing", "hf:../x:Q8_0", "https://example.com/page", ""])("%j is no model", (spec) => {
  expect(() => findModel(SMALL, spec)).toThrow(
    expect.objectContaining({
      code: "model_unknown",
      message: expect.stringMatching(/name one of one, or give the path/),
    }),
  );
});

test("another quantization of a model is that model under its file's name", () => {
  const catalogue = parseCatalogue(
    `models:
  big: { source: "hf:Qwen/Big-GGUF:Q4_K_M", aliases: [b], slots: 2, thinking: never, sha256: ${"ab".repeat(32)} }
  file: { source: "hf:someone/models:one.gguf", thinking: always }
`,
    "/m.yaml",
  );
  const variant = findModel(catalogue, "big:q8_0");
  expect(variant).toMatchObject({
    alias: "Big-Q8_0",
    aliases: [],
    sha256: null,
    source: { kind: "hf", repo: "Qwen/Big-GGUF", quantization: "Q8_0" },
    slots: 2,
    thinking: "never",
  });
  expect(findModel(catalogue, "b:Q8_0")).toEqual(variant);
  expect(findModel(catalogue, "hf:Qwen/Big-GGUF:Q8_0")).toEqual(variant);
  expect(findModel(catalogue, "big:Q4_K_M")).toBe(catalogue.entries[0]);
  // One repository of single files may hold anything.
  expect(findModel(catalogue, "hf:someone/models:two.gguf").thinking).toBe("optional");
  expect(() => findModel(catalogue, "small:Q8_0")).toThrow(/there is no model "small:Q8_0"/);
});

test("a typo in a long catalogue is answered with what was probably meant", async () => {
  const catalogue = await loadCatalogue(defaultCatalogueFile());
  expect(() => findModel(catalogue, "qwen3:8b")).toThrow(
    /name one of the \d+ of the catalogue, like qwen3-8b, .*npx quern models list/,
  );
});
