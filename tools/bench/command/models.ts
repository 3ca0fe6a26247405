import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { QuernError } from "@quern/shared/contract/errors";
import { TINY_SHAPE } from "@quern/testing/gguf/architecture";
import {
  QWEN3_0_6B,
  QWEN3_MOE_0_6B_ACTIVE,
  type RandomModelOptions,
  writeRandomModel,
} from "@quern/testing/gguf/random-model";

const ROOT = join(import.meta.dirname, "..", "..", "..");

/** Models by name: their weights are random, their cost is real. */
const NAMED_MODELS: Readonly<Record<string, RandomModelOptions>> = {
  "qwen3-0.6b": QWEN3_0_6B,
  moe: QWEN3_MOE_0_6B_ACTIVE,
  tiny: TINY_SHAPE,
};

export const MODEL_NAMES: readonly string[] = Object.keys(NAMED_MODELS);

/** The one that answers questions, so that answers have lengths of their own. */
export const DEMO_MODEL = join(ROOT, "models", "tiny-qwen3-q8_0.gguf");

const CACHE_FOLDER = join(ROOT, ".cache", "bench");

/**
 * The path of a model file; a named model is written first where it isn't there yet (up to 800 MB).
 *
 * @throws QuernError `model_file_missing` when it is neither a name nor a file.
 */
export async function findModel(nameOrPath: string, tell: (line: string) => void): Promise<string> {
  const options = NAMED_MODELS[nameOrPath];
  if (options === undefined) {
    if (existsSync(nameOrPath)) return resolve(nameOrPath);
    throw new QuernError(
      "model_file_missing",
      `there is no file ${nameOrPath}: --model takes a GGUF file, or one of ${MODEL_NAMES.join(", ")}`,
    );
  }
  // A model whose options change is another file.
  const digest = createHash("sha256").update(JSON.stringify(options)).digest("hex").slice(0, 8);
  const path = join(CACHE_FOLDER, `${nameOrPath}-${digest}.gguf`);
  if (!existsSync(path)) {
    tell(`writing ${nameOrPath} (once)`);
    await writeWhole(path, options);
  }
  return path;
}

/** Under its name only when it is complete: an interrupted run, or another one at once, leaves no half of it. */
async function writeWhole(path: string, options: RandomModelOptions): Promise<void> {
  await mkdir(CACHE_FOLDER, { recursive: true });
  const part = `${path}.${process.pid}.part`;
  try {
    await writeRandomModel(part, options);
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
}
