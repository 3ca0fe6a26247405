import type { FileHandle } from "node:fs/promises";

/** Arrays (vocabularies, merges) are stepped over: nobody here reads them. */
export type GgufValue = string | number | boolean | "array";

export class UnreadableGguf extends Error {}

/** Far above any real name, key or template; a length beyond it means the bytes are not what they claim. */
const MAX_STRING_BYTES = 16 * 1024 * 1024;
const WINDOW_BYTES = 1024 * 1024;

const STRING = 8;
const ARRAY = 9;
/** GGUF value type → bytes, for the types of fixed width. */
const WIDTHS: Record<number, number> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

/** Reads a GGUF header front to back through a window, whatever the size of the file. */
export class GgufReader {
  readonly #file: FileHandle;
  readonly #fileBytes: number;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  #position = 0;

  constructor(file: FileHandle, fileBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
  }

  get position(): number {
    return this.#position;
  }

  async magic(): Promise<string> {
    return (await this.#take(4)).toString("latin1");
  }

  async uint32(): Promise<number> {
    return (await this.#take(4)).readUInt32LE();
  }

  async uint64(): Promise<number> {
    const value = Number((await this.#take(8)).readBigUInt64LE());
    if (!Number.isSafeInteger(value)) throw new UnreadableGguf("its header is damaged");
    return value;
  }

  async string(): Promise<string> {
    const bytes = await this.uint64();
    if (bytes > MAX_STRING_BYTES) throw new UnreadableGguf("its header is damaged");
    return (await this.#take(bytes)).toString("utf8");
  }

  async value(): Promise<GgufValue> {
    const type = await this.uint32();
    if (type === STRING) return this.string();
    if (type === ARRAY) {
      await this.#skipArray();
      return "array";
    }
    return readNumber(type, await this.#take(widthOf(type)));
  }

  async tensorInfo(): Promise<{ name: string; shape: number[]; ggmlType: number; offset: number }> {
    const name = await this.string();
    const dimensions = await this.uint32();
    if (dimensions > 8) throw new UnreadableGguf("its header is damaged");
    const shape: number[] = [];
    for (let i = 0; i < dimensions; i++) shape.push(await this.uint64());
    return { name, shape, ggmlType: await this.uint32(), offset: await this.uint64() };
  }

  async #skipArray(): Promise<void> {
    const type = await this.uint32();
    const length = await this.uint64();
    if (type === ARRAY) {
      for (let i = 0; i < length; i++) await this.#skipArray();
    } else if (type === STRING) {
      for (let i = 0; i < length; i++) this.#skip(await this.uint64());
    } else {
      this.#skip(length * widthOf(type));
    }
  }

  #skip(bytes: number): void {
    this.#position += bytes;
    if (this.#position > this.#fileBytes) throw new UnreadableGguf("the file ends early, within its header");
  }

  async #take(bytes: number): Promise<Buffer> {
    const start = this.#position;
    this.#skip(bytes);
    if (start < this.#windowStart || this.#position > this.#windowStart + this.#window.length) {
      const { buffer, bytesRead } = await this.#file.read({
        buffer: Buffer.alloc(Math.max(WINDOW_BYTES, bytes)),
        position: start,
      });
      this.#window = buffer.subarray(0, bytesRead);
      this.#windowStart = start;
      if (bytesRead < bytes) throw new UnreadableGguf("the file ends early, within its header");
    }
    return this.#window.subarray(start - this.#windowStart, this.#position - this.#windowStart);
  }
}

function widthOf(type: number): number {
  const width = WIDTHS[type];
  if (width === undefined) throw new UnreadableGguf("its header is damaged");
  return width;
}

function readNumber(type: number, bytes: Buffer): number | boolean {
  switch (type) {
    case 0:
      return bytes.readUInt8();
    case 1:
      return bytes.readInt8();
    case 2:
      return bytes.readUInt16LE();
    case 3:
      return bytes.readInt16LE();
    case 4:
      return bytes.readUInt32LE();
    case 5:
      return bytes.readInt32LE();
    case 6:
      return bytes.readFloatLE();
    case 7:
      return bytes.readUInt8() !== 0;
    case 10:
      return Number(bytes.readBigUInt64LE());
    case 11:
      return Number(bytes.readBigInt64LE());
    default:
      return bytes.readDoubleLE();
  }
}
