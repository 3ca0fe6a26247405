import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  writeBadMagicModel,
  writeTruncatedModel,
  writeUnknownArchitectureModel,
} from "@quern/testing/gguf/damaged-models";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readGgufHeader } from "./gguf-header.ts";
import { measureTensors } from "./gguf-tensors.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-header-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("a dense model", async () => {
  const path = join(folder, "dense.gguf");
  await writeRandomModel(path, { name: "dense one", contextLength: 777 });
  expect(await readGgufHeader(path)).toEqual({
    architecture: "qwen3",
    contextLength: 777,
    expertCount: null,
    expertUsedCount: null,
    name: "dense one",
    parameterCount: expect.any(Number),
    blockCount: 2,
    headCount: 4,
    keyLength: 16,
    fileType: 0,
    tensors: expect.any(Array),
    chatTemplate: expect.stringContaining("enable_thinking"),
  });
});

test("a mixture of experts, quantized, with a vocabulary far larger than the read window", async () => {
  const path = join(folder, "moe.gguf");
  await writeRandomModel(path, {
    architecture: "qwen3moe",
    weights: "q4_0",
    vocabulary: 151_936,
    hidden: 32,
    layers: 1,
  });
  const header = await readGgufHeader(path);
  expect(header).toMatchObject({ architecture: "qwen3moe", expertCount: 8, expertUsedCount: 2 });
  // Embeddings and head; then norms 3 × 32 + 2 × 16, attention 32 × (64 + 32 + 32 + 64), experts 8 × 3 × 32 × 32, router.
  expect(header.parameterCount).toBe(2 * 32 * 151_936 + 128 + 32 * 192 + 8 * 3 * 32 * 32 + 32 * 8);
});

test("tensors have the bytes that they take in the file", async () => {
  const path = join(folder, "tensors.gguf");
  await writeRandomModel(path, { weights: "q8_0", vocabulary: 1_024 });
  const { tensors, parameterCount } = await readGgufHeader(path);
  const find = (name: string) => tensors.find((tensor) => tensor.name === name);
  // 64 × 1,024 weights, 32 of them in 34 bytes; norms stay in F32.
  expect(find("token_embd.weight")).toMatchObject({ shape: [64, 1_024], weights: 65_536, bytes: 69_632 });
  expect(find("blk.1.attn_norm.weight")).toMatchObject({ shape: [64], weights: 64, bytes: 256 });
  expect(tensors.reduce((sum, { weights }) => sum + weights, 0)).toBe(parameterCount);
});

test("a tensor of an unknown type takes what lies before the next one", () => {
  const place = (name: string, offset: number, ggmlType: number) => ({ name, shape: [32], ggmlType, offset });
  const { tensors, dataBytes } = measureTensors(
    [place("a", 0, 0), place("b", 128, 99), place("c", 192, 99)],
    256,
  );
  expect(tensors.map(({ bytes }) => bytes)).toEqual([128, 64, 64]);
  expect(dataBytes).toBe(192);
});

test("the bytes that are missing are told", async () => {
  const path = join(folder, "short.gguf");
  await writeTruncatedModel(path, 0.5);
  await expect(readGgufHeader(path)).rejects.toMatchObject({
    message: expect.stringMatching(/the file ends early: \d+ of \d+ bytes; download it again/),
  });
});

test("a split model counts the weights of all parts, and misses a part that isn't there", async () => {
  const first = join(folder, "split-00001-of-00002.gguf");
  const second = join(folder, "split-00002-of-00002.gguf");
  await writeRandomModel(first);
  await expect(readGgufHeader(first)).rejects.toMatchObject({
    code: "model_file_missing",
    message: expect.stringContaining("00002-of-00002"),
  });
  await writeRandomModel(second);
  const whole = await readGgufHeader(first);
  await writeFile(join(folder, "alone.gguf"), await readFile(first));
  expect(whole.parameterCount).toBe(2 * (await readGgufHeader(join(folder, "alone.gguf"))).parameterCount);
});

test("an architecture that llama.cpp doesn't know is still a header", async () => {
  const path = join(folder, "unknown.gguf");
  await writeUnknownArchitectureModel(path);
  expect(await readGgufHeader(path)).toMatchObject({ architecture: "quern-unknown", parameterCount: 0 });
});

test("no file, no GGUF, an unknown version, an empty file", async () => {
  const path = join(folder, "bad.gguf");
  await expect(readGgufHeader(path)).rejects.toMatchObject({ code: "model_file_missing" });
  await writeBadMagicModel(path);
  await expect(readGgufHeader(path)).rejects.toMatchObject({
    code: "model_file_invalid",
    message: expect.stringContaining("it is not a GGUF file; download it again"),
  });
  await writeFile(path, "GGUF\x09\x00\x00\x00");
  await expect(readGgufHeader(path)).rejects.toMatchObject({ message: expect.stringContaining("version 9") });
  await writeFile(path, "");
  await expect(readGgufHeader(path)).rejects.toMatchObject({
    code: "model_file_invalid",
    message: expect.stringContaining("it is empty; download it again"),
  });
});

test("wherever it ends early, it is invalid", async () => {
  const path = join(folder, "cut.gguf");
  for (const kept of [0.0001, 0.001, 0.01, 0.05, 0.5, 0.999]) {
    await writeTruncatedModel(path, kept);
    await expect(readGgufHeader(path), `${kept} kept`).rejects.toMatchObject({
      code: "model_file_invalid",
      message: expect.stringMatching(/ends early|not a GGUF/),
    });
  }
});

test("damaged headers end in an error, never in a hang or a huge allocation", async () => {
  const path = join(folder, "damaged.gguf");
  await writeRandomModel(path, { layers: 1 });
  await truncate(path, 12_000);
  const bytes = await readFile(path);
  for (let at = 4; at < 400; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = 0xff;
    await writeFile(path, damaged);
    await expect(readGgufHeader(path), `byte ${at}`).rejects.toMatchObject({ code: "model_file_invalid" });
  }
});
