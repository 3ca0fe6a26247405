import { createHash } from "node:crypto";
import { open, readdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { QuernError } from "../contract/errors.ts";
import { isAdHocAlias } from "./ad-hoc-alias.ts";
import type { CatalogueEntry } from "./catalogue-schema.ts";
import { splitParts } from "./gguf-split.ts";
import { filesOfQuantization } from "./hf-quantization.ts";
import { describeModelSource, fileNameOf, type ModelSource } from "./model-source.ts";

/** Downloaded models are kept here; several checkouts and processes may share it. */
export function defaultCacheDir(env: Record<string, string | undefined>): string {
  return (
    env.QUERN_MODEL_CACHE_DIR || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "quern", "models")
  );
}

/** Where the files of a source to download go; `null` for a path, which stays where it is. */
export function cacheFolderOf(source: ModelSource, cacheDir: string): string | null {
  switch (source.kind) {
    case "path":
      return null;
    case "hf":
      return join(cacheDir, "hf", ...source.repo.split("/"));
    case "url":
      return join(cacheDir, "url", createHash("sha256").update(source.url).digest("hex").slice(0, 16));
  }
}

/**
 * The file to load, the first part when it is split. Reads four bytes and no network.
 * Throws `model_file_missing` or `model_file_invalid`, both with the cure.
 */
export async function locateModelFile(entry: CatalogueEntry, options: { cacheDir: string }): Promise<string> {
  const path = await findModelFile(entry, options);
  if (path === null) throw missing(entry);
  await checkMagic(path);
  return path;
}

/** The file, all of its parts present; null when it isn't there. */
export async function findModelFile(
  entry: CatalogueEntry,
  options: { cacheDir: string },
): Promise<string | null> {
  const path = await expectedPath(entry.source, options.cacheDir);
  if (path === null) return null;
  for (const part of splitParts(path)) if (!(await isFile(part))) return null;
  return path;
}

/** All parts together. */
export async function modelFileBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const part of splitParts(path)) bytes += (await stat(part)).size;
  return bytes;
}

async function expectedPath(source: ModelSource, cacheDir: string): Promise<string | null> {
  if (source.kind === "path") return source.path;
  const folder = cacheFolderOf(source, cacheDir) ?? cacheDir;
  if (source.kind === "url") return join(folder, fileNameOf(source.url) ?? "model.gguf");
  const cached = filesOfQuantization(await filesBelow(folder), source.quantization);
  return cached[0] === undefined ? null : join(folder, cached[0]);
}

async function filesBelow(folder: string): Promise<string[]> {
  try {
    return await readdir(folder, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function checkMagic(path: string): Promise<void> {
  await using file = await open(path, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
  if (buffer.subarray(0, bytesRead).toString("latin1") === "GGUF") return;
  const fault =
    bytesRead === 0
      ? "is empty: download it again or give another file"
      : "is not a GGUF file: give the path of a .gguf model";
  throw new QuernError("model_file_invalid", `${path} ${fault}`);
}

function missing(entry: CatalogueEntry): QuernError {
  if (entry.source.kind === "path") {
    return new QuernError(
      "model_file_missing",
      `there is no model file ${entry.source.path}: check the path, or name another model`,
    );
  }
  const spec = isAdHocAlias(entry.alias, entry.source) ? describeModelSource(entry.source) : entry.alias;
  return new QuernError(
    "model_file_missing",
    `the model ${entry.alias} is not on this machine yet: run npx quern models pull ${spec}`,
  );
}
