import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile, open, stat } from "node:fs/promises";

/** A SHA-256, behind all that llama.cpp reads of a state's file. */
const SEAL_BYTES = 32;
const CHUNK_BYTES = 2 ** 20;

/**
 * Ends the file of a saved cache with a digest, and checks it before llama.cpp may read it: a file that was cut aborts
 * the whole process there (`GGML_ASSERT(nread <= state_size)`), and one with other bytes is taken for a cache.
 */
export class StateSeals {
  /** Files that have been checked, and what they were then: reading all of one again would outweigh its use. */
  readonly #checked = new Map<string, string>();

  async seal(path: string): Promise<void> {
    const { size } = await stat(path);
    await appendFile(path, await digest(path, size));
  }

  /** @throws when the file is missing, or not as `seal` left it. */
  async check(path: string): Promise<void> {
    const { size, mtimeMs, ino } = await stat(path);
    const identity = [ino, size, mtimeMs].join(" ");
    if (this.#checked.get(path) === identity) return;
    const sealedBytes = size - SEAL_BYTES;
    if (sealedBytes <= 0) throw new Error(`${path} is no saved cache`);
    await using file = await open(path);
    const { buffer } = await file.read(Buffer.alloc(SEAL_BYTES), 0, SEAL_BYTES, sealedBytes);
    if (!buffer.equals(await digest(path, sealedBytes))) throw new Error(`${path} is damaged`);
    this.#checked.set(path, identity);
  }
}

async function digest(path: string, bytes: number): Promise<Buffer> {
  const hash = createHash("sha256");
  const content = createReadStream(path, { end: bytes - 1, highWaterMark: CHUNK_BYTES });
  for await (const chunk of content) hash.update(chunk);
  return hash.digest();
}
