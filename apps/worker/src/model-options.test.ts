import { join } from "node:path";
import { findModel, parseCatalogue } from "@quern/shared/models/catalogue";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { expect, test } from "vitest";
import { readEnv, toConfig } from "./config.ts";
import { modelOptions } from "./model-options.ts";

const MODEL = join(import.meta.dirname, "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");
const CATALOGUE = `models:
  a:
    source: ${MODEL}
    slots: 3
    contextTokens: 1048576
    gpuLayers: 2
    flashAttention: "on"
    loras: [{ path: /l/a.gguf, scale: 0.5 }]
`;

async function optionsFor(env: Record<string, string>) {
  const entry = findModel(parseCatalogue(CATALOGUE, "/m.yaml"), "a");
  const header = await readGgufHeader(MODEL);
  return modelOptions(toConfig(readEnv(env)).engine, false, entry, MODEL, header).engine;
}

test("the catalogue's entry holds where the environment says nothing, its context as far as the model was trained", async () => {
  expect(await optionsFor({ QUERN_CORES: "2" })).toMatchObject({
    modelPath: MODEL,
    slots: 3,
    contextTokens: 2_048,
    threads: 2,
    kvType: "f16",
    gpuLayers: 2,
    flashAttention: "on",
    gpu: null,
    loras: [{ path: "/l/a.gguf", scale: 0.5 }],
  });
});

test("the environment's word goes first", async () => {
  const env = { QUERN_SLOTS: "1", QUERN_GPU_LAYERS: "auto", QUERN_GPU: "cpu", QUERN_LORAS: "/l/b.gguf" };
  expect(await optionsFor(env)).toMatchObject({
    slots: 1,
    gpuLayers: "auto",
    gpu: "cpu",
    loras: [{ path: "/l/b.gguf", scale: 1 }],
  });
});

test("more context than the model was trained for is refused", async () => {
  await expect(optionsFor({ QUERN_CONTEXT_TOKENS: "4096" })).rejects.toMatchObject({
    code: "config_invalid",
    message: "a was trained for 2048 context tokens, QUERN_CONTEXT_TOKENS asks for 4096",
  });
});
