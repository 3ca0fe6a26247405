import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { splitParts } from "@quern/shared/models/gguf-split";
import type { EngineOptions } from "../../protocol/engine-options.ts";

type CacheOptions = Pick<EngineOptions, "modelPath" | "loras" | "kvType" | "flashAttention">;

const SAMPLES = 64;
const SAMPLE_BYTES = 64 * 1024;
const HEAD_BYTES = 4 * 2 ** 20;

/** Caches with one key fit each other: the model's file, its adapters, and how its keys and values are kept. */
export async function cacheKey(options: CacheOptions): Promise<string> {
  const { modelPath, loras, kvType, flashAttention } = options;
  const adapters = await Promise.all(
    loras.map(async ({ path, scale }) => [await modelFingerprint(path), scale]),
  );
  const model = await Promise.all(splitParts(modelPath).map(modelFingerprint));
  const parts = [model, adapters, kvType, flashAttention];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/**
 * Tells model files apart without reading all of them, which would take minutes: a SHA-256 over the size, the first
 * 4 MiB (the header, which lists every tensor) and 64 samples spread evenly over the weights. Any training touches
 * all layers, so two models that agree in all of that are one.
 * @returns 32 hex digits.
 */
async function modelFingerprint(path: string): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  const hash = createHash("sha256").update(String(size));
  const buffer = Buffer.alloc(HEAD_BYTES);
  const read = async (position: number, length: number) => {
    const { bytesRead } = await file.read(buffer, 0, length, position);
    hash.update(buffer.subarray(0, bytesRead));
  };
  await read(0, HEAD_BYTES);
  for (let sample = 1; sample <= SAMPLES; sample += 1) {
    const position = Math.floor(((size - SAMPLE_BYTES) * sample) / SAMPLES);
    if (position > HEAD_BYTES) await read(position, SAMPLE_BYTES);
  }
  return hash.digest("hex").slice(0, 32);
}
