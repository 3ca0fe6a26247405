import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { QuernError } from "../contract/errors.ts";
import { lockFile } from "../process/file-lock.ts";
import type { CatalogueEntry } from "./catalogue-schema.ts";
import { fetchFile } from "./fetch-file.ts";
import { splitParts } from "./gguf-split.ts";
import { cacheFolderOf, findModelFile, locateModelFile } from "./model-files.ts";
import { exponentialDelayMs, type Remote } from "./remote.ts";
import { listRemoteFiles, type RemoteFile } from "./remote-files.ts";

export interface DownloadProgress {
  /** `waiting`: another process downloads the same file. */
  phase: "waiting" | "downloading";
  fileName: string;
  /** Which of the model's files it is, from 1. */
  part: number;
  parts: number;
  /** Of all parts together, like `totalBytes`. */
  receivedBytes: number;
  /** null: the server hasn't told. */
  totalBytes: number | null;
}

export interface EnsureModelFileOptions {
  cacheDir: string;
  signal: AbortSignal;
  onProgress?: (progress: DownloadProgress) => void;
  /** A mirror or a test server. */
  hfEndpoint?: string;
  hfToken?: string | null;
  maxTries?: number;
  retryDelayMs?: (tries: number) => number;
  idleTimeoutMs?: number;
  freeDiskBytes?: (folder: string) => Promise<number>;
}

export const HF_ENDPOINT = "https://huggingface.co";

/**
 * The model's file, downloaded when it isn't here. What is here is checked against the entry's sha256 when it has one
 * (about a second per gigabyte); what is downloaded, also against the digest the source tells.
 */
export async function ensureModelFile(
  entry: CatalogueEntry,
  options: EnsureModelFileOptions,
): Promise<string> {
  const { source } = entry;
  if (source.kind === "path" || (await findModelFile(entry, options)) !== null) {
    const path = await locateModelFile(entry, options);
    await verifyModelFile(entry, path, options.signal);
    return path;
  }
  const folder = cacheFolderOf(source, options.cacheDir) ?? options.cacheDir;
  const remote = toRemote(options);
  const files = await listRemoteFiles(source, remote);
  // The catalogue's digest is given for one file.
  const only = files.length === 1 ? entry.sha256 : null;
  const parts = files.map((file) => ({ ...file, sha256: only ?? file.sha256 }));
  await downloadParts(parts, folder, remote, options);
  return locateModelFile(entry, options);
}

/** Throws `checksum_mismatch`. The digest of a split model is not checked: it is given for one file. */
async function verifyModelFile(entry: CatalogueEntry, path: string, signal: AbortSignal): Promise<void> {
  if (entry.sha256 === null || splitParts(path).length > 1) return;
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash, { signal });
  const got = hash.digest("hex");
  if (got === entry.sha256) return;
  const cure = entry.source.kind === "path" ? "restore the file" : "delete it and pull it again";
  throw new QuernError(
    "checksum_mismatch",
    `${path} has SHA-256 ${got} where the catalogue has ${entry.sha256} for ${entry.alias}: ${cure}, or correct the catalogue`,
  );
}

/** One after the other: a model's parts come from one server, whose bandwidth they would only share. */
async function downloadParts(
  files: readonly RemoteFile[],
  folder: string,
  remote: Remote,
  options: EnsureModelFileOptions,
): Promise<void> {
  // Known beforehand on Hugging Face; else a part's size is what it turns out to have.
  const sizes = files.map(({ bytes }) => bytes);
  let doneBytes = 0;
  for (const [index, file] of files.entries()) {
    const before = doneBytes;
    const stillToCome = sizes.slice(index + 1);
    await downloadOnce(file, folder, remote, {
      ...options,
      laterBytes: sum(stillToCome) ?? 0,
      report: (phase, receivedBytes, totalBytes) => {
        sizes[index] = totalBytes;
        options.onProgress?.({
          phase,
          fileName: file.name,
          part: index + 1,
          parts: files.length,
          receivedBytes: before + receivedBytes,
          totalBytes: sum(sizes),
        });
      },
    });
    sizes[index] = (await stat(join(folder, file.name))).size;
    doneBytes += sizes[index];
  }
}

/** null when one of them is not known. */
function sum(sizes: readonly (number | null)[]): number | null {
  return sizes.reduce((total, size) => (total === null || size === null ? null : total + size), 0);
}

interface PartDownload extends EnsureModelFileOptions {
  laterBytes: number;
  report: (phase: DownloadProgress["phase"], receivedBytes: number, totalBytes: number | null) => void;
}

/** Two processes may want one file: the second waits, then finds it there. */
async function downloadOnce(
  file: RemoteFile,
  folder: string,
  remote: Remote,
  options: PartDownload,
): Promise<void> {
  const target = join(folder, file.name);
  await makeFolder(dirname(target));
  using _lock = await lockFile(`${target}.lock`, {
    signal: options.signal,
    onWait: () => options.report("waiting", 0, file.bytes),
  });
  if (await exists(target)) return;
  await fetchFile(file, target, {
    remote,
    laterBytes: options.laterBytes,
    freeDiskBytes: options.freeDiskBytes ?? freeDiskBytes,
    onBytes: (receivedBytes, totalBytes) => options.report("downloading", receivedBytes, totalBytes),
  });
}

function toRemote(options: EnsureModelFileOptions): Remote {
  const hfEndpoint = options.hfEndpoint ?? HF_ENDPOINT;
  if (!/^https?:\/\//.test(hfEndpoint) || !URL.canParse(hfEndpoint)) {
    throw new QuernError(
      "config_invalid",
      `HF_ENDPOINT "${hfEndpoint}" is not a URL: set it like ${HF_ENDPOINT}`,
    );
  }
  return {
    hfEndpoint: hfEndpoint.replace(/\/+$/, ""),
    hfToken: options.hfToken ?? null,
    signal: options.signal,
    maxTries: options.maxTries ?? 6,
    retryDelayMs: options.retryDelayMs ?? exponentialDelayMs,
    idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
  };
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new QuernError(
      "download_failed",
      `the model cache ${folder} can't be made (${(cause as Error).message}): set QUERN_MODEL_CACHE_DIR to a folder that can be written`,
      { cause },
    );
  }
}

async function freeDiskBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
