import { randomUUID } from "node:crypto";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { abortable } from "./abortable.ts";
import { DirectorySegments } from "./directory-segments.ts";
import { makeFolder, syncFolder } from "./durable-folder.ts";
import { directoryFault, fileMissing, isMissing } from "./file-faults.ts";
import { checkedKey, checkedWriter } from "./file-key.ts";
import type { ByteRange, FileStore, GrowingFile, Segment } from "./file-store.ts";
import { readFileRange } from "./read-file-range.ts";
import { byteStream, readSegmentParts, totalBytes } from "./segments.ts";

/** Files that are being written. No key has a dot. */
const UPLOADS = ".uploads";

/**
 * Files in a folder of this machine, or of a disk that several share.
 *
 *   <tenant>/<file id>                      a whole file
 *   <tenant>/<file id>.segments/<writer>    what one writer appended to a growing file
 *   .uploads/<uuid>                         a file that is being written
 */
export class DirectoryStore implements FileStore {
  readonly preferredAppendBytes = 0;
  readonly #root: string;

  /** `root` is made when it is first written to. */
  constructor(root: string) {
    this.#root = root;
  }

  async write(
    key: string,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ bytes: number }> {
    const target = this.#pathOf(key);
    const upload = join(this.#root, UPLOADS, randomUUID());
    try {
      await makeFolder(dirname(upload));
      const bytes = await writeDurably(upload, source, signal);
      await makeFolder(dirname(target));
      await rename(upload, target);
      await syncFolder(dirname(target));
      return { bytes };
    } catch (error) {
      await rm(upload, { force: true }).catch(() => {}); // else `removeLeftovers` takes it away
      throw directoryFault(error);
    }
  }

  read(key: string, range: ByteRange = {}): Readable {
    const path = this.#pathOf(key);
    return byteStream(readFileRange(path, key, range));
  }

  async size(key: string): Promise<number | null> {
    try {
      return (await stat(this.#pathOf(key))).size;
    } catch (error) {
      if (isMissing(error)) return null;
      throw directoryFault(error);
    }
  }

  async remove(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true }).catch(rethrow);
  }

  async grow(key: string, writer: string, segments: readonly Segment[]): Promise<GrowingFile> {
    try {
      return await DirectorySegments.open(this.#segmentsOf(key), checkedWriter(writer), segments);
    } catch (error) {
      throw isMissing(error) ? fileMissing(key, error) : directoryFault(error);
    }
  }

  readSegments(key: string, segments: readonly Segment[], range: ByteRange = {}): Readable {
    const folder = this.#segmentsOf(key);
    const readPart = (name: string, part: ByteRange) => readFileRange(join(folder, name), key, part);
    return byteStream(readSegmentParts(key, segments, range, readPart));
  }

  async assemble(key: string, segments: readonly Segment[], signal: AbortSignal): Promise<{ bytes: number }> {
    const bytes = totalBytes(segments);
    if ((await this.size(key)) === bytes) return { bytes };
    return await this.write(key, this.readSegments(key, segments), signal);
  }

  async removeSegments(key: string): Promise<void> {
    await rm(this.#segmentsOf(key), { recursive: true, force: true }).catch(rethrow);
  }

  async removeLeftovers(silentForMs: number): Promise<number> {
    const folder = join(this.#root, UPLOADS);
    const names = await readdir(folder).catch((error) => (isMissing(error) ? [] : rethrow(error)));
    let removed = 0;
    for (const name of names) {
      const path = join(folder, name);
      // One that is gone by now has become a file.
      const writtenMs = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => Number.POSITIVE_INFINITY,
      );
      if (Date.now() - writtenMs < silentForMs) continue;
      await rm(path, { force: true }).catch(rethrow);
      removed += 1;
    }
    return removed;
  }

  close(): void {}

  #pathOf(key: string): string {
    return join(this.#root, checkedKey(key));
  }

  #segmentsOf(key: string): string {
    return `${this.#pathOf(key)}.segments`;
  }
}

/** Lets go of `source` when it fails. The bytes are on disk when it resolves with their number; the file's name may not be. */
async function writeDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  await using file = await open(path, "wx");
  let bytes = 0;
  for await (const chunk of abortable(source, signal)) {
    await file.writeFile(chunk);
    bytes += chunk.length;
  }
  await file.sync();
  return bytes;
}

function rethrow(error: unknown): never {
  throw directoryFault(error);
}
