import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "../contract/errors.ts";
import { checkGgufFile } from "./gguf-header.ts";
import { withoutSecrets } from "./model-source.ts";
import { PartFile } from "./part-file.ts";
import { failureOf, openRemote, type Remote, reasonOf, TransientFailure, withRetries } from "./remote.ts";
import type { RemoteFile } from "./remote-files.ts";

/** Left free on the disk beside the model. */
const DISK_RESERVE_BYTES = 64 * 1024 * 1024;

interface FetchFileOptions {
  remote: Remote;
  /** What is to be stored after this file: a disk that can't hold all of a model is too small at its first part. */
  laterBytes: number;
  freeDiskBytes: (folder: string) => Promise<number>;
  /** `totalBytes` is null while the server hasn't told. */
  onBytes: (receivedBytes: number, totalBytes: number | null) => void;
}

/** Downloads one file to `target`, going on with what an earlier try left. The caller holds the target's lock. */
export async function fetchFile(file: RemoteFile, target: string, options: FetchFileOptions): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await using part = await PartFile.open(target, file.url);
  const expected: Expected = { sha256: file.sha256, bytes: file.bytes };
  try {
    await withRetries(options.remote, file.url, () => receiveRest(file, part, expected, options));
  } catch (error) {
    if (part.bytes === 0) await part.discard();
    throw error;
  }
  if (expected.sha256 !== null && part.sha256() !== expected.sha256) {
    const got = part.sha256();
    await part.discard();
    throw mismatch(file.url, expected.sha256, got);
  }
  await requireGguf(part, file.url);
  await part.publish();
}

interface Expected {
  sha256: string | null;
  bytes: number | null;
}

/** One connection. Returns when the part is complete. */
async function receiveRest(
  file: RemoteFile,
  part: PartFile,
  expected: Expected,
  { remote, laterBytes, freeDiskBytes, onBytes }: FetchFileOptions,
): Promise<void> {
  const silence = new AbortController();
  const signal = AbortSignal.any([remote.signal, silence.signal]);
  const idle = setTimeout(() => silence.abort(), remote.idleTimeoutMs);
  const before = part.bytes;
  try {
    // Without a validator the bytes on disk and those to come might belong to different files.
    if (part.etag === null) await part.startOver();
    const range = part.bytes > 0 ? { range: `bytes=${part.bytes}-`, "if-range": part.etag ?? "" } : {};
    const { response, linkedSha256 } = await openRemote(file.url, range, remote, signal);

    if (response.status === 416) return await judgeUnsatisfiedRange(response, part);
    if (!response.ok) throw await failureOf(response, file.url);
    if (linkedSha256 !== null) {
      // Said before the bytes come: nobody wants to learn it after 20 GB.
      if (file.sha256 !== null && file.sha256 !== linkedSha256) {
        await response.body?.cancel();
        throw mismatch(file.url, file.sha256, linkedSha256);
      }
      expected.sha256 = linkedSha256;
    }
    if (!continues(response, part)) await part.startOver();
    expected.bytes = totalBytesOf(response) ?? expected.bytes;
    if (part.bytes === 0) await part.setOrigin({ url: file.url, etag: strongEtagOf(response) });
    await requireDiskSpace(part, (expected.bytes ?? 0) + laterBytes, freeDiskBytes);

    onBytes(part.bytes, expected.bytes);
    for await (const chunk of response.body ?? []) {
      idle.refresh();
      await part.append(chunk);
      onBytes(part.bytes, expected.bytes);
    }
    if (expected.bytes !== null && part.bytes < expected.bytes) throw new Error("it ended early");
  } catch (error) {
    remote.signal.throwIfAborted();
    if (error instanceof QuernError || error instanceof TransientFailure) throw error;
    if (isDiskFailure(error)) throw diskFailure(part, error);
    const what = silence.signal.aborted
      ? "the connection fell silent"
      : `the connection was cut (${reasonOf(error)})`;
    throw new TransientFailure(what, { cause: error, progressed: part.bytes > before });
  } finally {
    clearTimeout(idle);
  }
}

/** The server says that nothing follows what is here: either all is here, or the file is another one now. */
async function judgeUnsatisfiedRange(response: Response, part: PartFile): Promise<void> {
  await response.body?.cancel();
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (Number(total) === part.bytes) return;
  await part.startOver();
  throw new TransientFailure("the file on the server has changed");
}

function continues(response: Response, part: PartFile): boolean {
  if (response.status !== 206) return false;
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (Number(start) === part.bytes) return true;
  throw new QuernError(
    "download_failed",
    "the server answers another range than was asked: fetch the file by hand",
  );
}

function totalBytesOf(response: Response): number | null {
  const total =
    response.status === 206
      ? /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1]
      : response.headers.get("content-length");
  return total === null || total === undefined ? null : Number(total);
}

function strongEtagOf(response: Response): string | null {
  const etag = response.headers.get("etag");
  return etag === null || etag.startsWith("W/") ? null : etag;
}

async function requireDiskSpace(
  part: PartFile,
  totalBytes: number,
  freeDiskBytes: (folder: string) => Promise<number>,
): Promise<void> {
  const needed = totalBytes - part.bytes + DISK_RESERVE_BYTES;
  const free = await freeDiskBytes(dirname(part.path));
  if (free >= needed) return;
  throw new QuernError(
    "download_failed",
    `${dirname(part.path)} has ${gigabytes(free)} GB free where ${gigabytes(needed)} GB are needed: make room, or set QUERN_MODEL_CACHE_DIR to a larger disk`,
  );
}

/** A server may answer 200 with a page that says why there is no model. */
async function requireGguf(part: PartFile, url: string): Promise<void> {
  try {
    await checkGgufFile(part.path);
  } catch (cause) {
    await part.discard();
    throw new QuernError(
      "model_file_invalid",
      `${withoutSecrets(url)} is no usable GGUF file (${(cause as Error).message}): check the source in the catalogue`,
      { cause },
    );
  }
}

function isDiskFailure(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO"].includes(
    (error as NodeJS.ErrnoException).code ?? "",
  );
}

function diskFailure(part: PartFile, cause: unknown): QuernError {
  return new QuernError(
    "download_failed",
    `${part.path} can't be written (${(cause as Error).message}): make room, or set QUERN_MODEL_CACHE_DIR to another disk`,
    { cause },
  );
}

function mismatch(url: string, expected: string, got: string): QuernError {
  return new QuernError(
    "checksum_mismatch",
    `${withoutSecrets(url)} has SHA-256 ${got} where ${expected} is expected: pull it again; if it stays so, the file has changed at its source: correct sha256 in the catalogue only if you trust it`,
  );
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}
