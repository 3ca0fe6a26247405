import { open, stat, truncate } from "node:fs/promises";
import { planTensors, TINY_SHAPE, tensorTypeOf } from "./architecture.ts";
import { writeGguf } from "./gguf-writer.ts";
import { modelMetadata } from "./model-metadata.ts";
import { writeRandomModel } from "./random-model.ts";
import { createTokenizer } from "./tokenizer.ts";

/** Loads like any other and computes nothing: every weight is NaN. */
export async function writeNanModel(path: string): Promise<void> {
  const tokenizer = createTokenizer();
  await writeGguf(path, {
    metadata: modelMetadata("nan", TINY_SHAPE, tokenizer, "f32"),
    tensors: planTensors(TINY_SHAPE, tokenizer.size).map((plan) => ({
      name: plan.name,
      shape: plan.shape,
      type: tensorTypeOf(plan, "f32"),
      fill: (into: Float32Array) => into.fill(Number.NaN),
    })),
  });
}

/** As an interrupted copy leaves it. `kept`: the part of the file that is there, 0 to 1. */
export async function writeTruncatedModel(path: string, kept = 0.5): Promise<void> {
  await writeRandomModel(path);
  await truncate(path, Math.floor((await stat(path)).size * kept));
}

/** A whole model but for its first four bytes. */
export async function writeBadMagicModel(path: string): Promise<void> {
  await writeRandomModel(path);
  await using file = await open(path, "r+");
  await file.write("GGML", 0);
}

/** A whole file for an architecture that llama.cpp has never heard of. */
export async function writeUnknownArchitectureModel(path: string): Promise<void> {
  const tokenizer = createTokenizer();
  const metadata = modelMetadata("unknown", TINY_SHAPE, tokenizer, "f32");
  metadata.set("general.architecture", { string: "quern-unknown" });
  await writeGguf(path, { metadata, tensors: [] });
}
