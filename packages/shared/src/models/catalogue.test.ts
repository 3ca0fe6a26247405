import { resolve } from "node:path";
import { expect, test } from "vitest";
import { defaultCatalogueFile, findModel, loadCatalogue, parseCatalogue } from "./catalogue.ts";
import { ALIAS } from "./catalogue-schema.ts";
import { ensureModelFile } from "./download.ts";
import { readGgufHeader } from "./gguf-header.ts";

const SMALL = parseCatalogue("models: { one: { source: ./a/one.gguf, aliases: [uno] } }", "/models/m.yaml");

test("the shipped catalogue is valid, and its demo models are the files that stand in models/", async () => {
  const catalogue = await loadCatalogue(defaultCatalogueFile());
  expect(catalogue.entries.map(({ alias }) => alias)).toEqual([
    "tiny-qwen3",
    "tiny-qwen3-moe",
    "qwen3-0.6b",
    "qwen3-1.7b",
    "qwen3-4b",
    "qwen3-8b",
    "qwen3-14b",
    "qwen3-32b",
    "qwen3-30b-a3b",
  ]);
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
      gpuLayers: "max",
      flashAttention: "auto",
      maxThreads: null,
      thinking: "optional",
      sampling: {
        thinking: { temperature: 0.6, topP: 0.95, topK: 20, minP: 0 },
        plain: { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 },
      },
    },
  ]);
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
