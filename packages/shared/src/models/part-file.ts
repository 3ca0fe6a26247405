import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, rename, rm, writeFile } from "node:fs/promises";

/** What the bytes on disk are the beginning of. */
interface PartOrigin {
  url: string;
  /** The server's validator: another one means another file. Weak ones can't guard a resume. */
  etag: string | null;
}

/**
 * A download under way: `<target>.part`, with `<target>.part.json` beside it. Its digest always covers exactly
 * `bytes`, those of an earlier process included.
 */
export class PartFile implements AsyncDisposable {
  readonly path: string;
  readonly #target: string;
  readonly #file: FileHandle;
  #hash: Hash;
  #bytes: number;
  #origin: PartOrigin | null;

  private constructor(
    target: string,
    file: FileHandle,
    hash: Hash,
    bytes: number,
    origin: PartOrigin | null,
  ) {
    this.path = `${target}.part`;
    this.#target = target;
    this.#file = file;
    this.#hash = hash;
    this.#bytes = bytes;
    this.#origin = origin;
  }

  /** Keeps what is on disk when it came from `url`. */
  static async open(target: string, url: string): Promise<PartFile> {
    const origin = await readOrigin(`${target}.part.json`);
    const file = await open(`${target}.part`, "a+");
    const part = new PartFile(target, file, createHash("sha256"), 0, origin);
    if (origin?.url === url) await part.#hashFromDisk();
    else await part.startOver();
    return part;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get etag(): string | null {
    return this.#origin?.etag ?? null;
  }

  async append(chunk: Uint8Array): Promise<void> {
    await this.#file.appendFile(chunk);
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  async startOver(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = createHash("sha256");
    this.#bytes = 0;
    this.#origin = null;
  }

  /** Said before the first byte is kept, so that no bytes are ever resumed under a wrong validator. */
  async setOrigin(origin: PartOrigin): Promise<void> {
    this.#origin = origin;
    await writeFile(`${this.path}.json`, JSON.stringify(origin));
  }

  /** Lower-case hex, of all bytes so far. */
  sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Makes it the finished file, atomically. */
  async publish(): Promise<void> {
    await this.#file.sync();
    await rename(this.path, this.#target);
    await rm(`${this.path}.json`, { force: true });
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
    await rm(`${this.path}.json`, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #hashFromDisk(): Promise<void> {
    for await (const chunk of createReadStream(this.path)) {
      this.#hash.update(chunk as Buffer);
      this.#bytes += (chunk as Buffer).length;
    }
  }
}

async function readOrigin(path: string): Promise<PartOrigin | null> {
  try {
    const { url, etag } = JSON.parse(await readFile(path, "utf8")) as Partial<PartOrigin>;
    return typeof url === "string" ? { url, etag: typeof etag === "string" ? etag : null } : null;
  } catch {
    return null;
  }
}
