import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, syncFolder } from "./durable-folder.ts";
import { directoryFault } from "./file-faults.ts";
import type { GrowingFile, Segment } from "./file-store.ts";

/** One writer's segment, a file that grows; before it those of earlier writers, which it never opens. */
export class DirectorySegments implements GrowingFile {
  readonly #file: FileHandle;
  readonly #earlier: readonly Segment[];
  readonly #name: string;
  #bytes: number;

  private constructor(file: FileHandle, earlier: readonly Segment[], name: string, bytes: number) {
    this.#file = file;
    this.#earlier = earlier;
    this.#name = name;
    this.#bytes = bytes;
  }

  /** A writer that has been here before goes on where its record ends. */
  static async open(
    folder: string,
    writer: string,
    segments: readonly Segment[],
  ): Promise<DirectorySegments> {
    const last = segments.at(-1);
    const own = last?.name === writer ? last : null;
    const earlier = own === null ? segments : segments.slice(0, -1);
    if (earlier.some(({ name }) => name === writer)) {
      throw new TypeError(`the writer ${writer} is not the last that wrote`);
    }
    await makeFolder(folder);
    const file = await open(join(folder, writer), own === null ? "w" : "r+");
    await syncFolder(folder);
    return new DirectorySegments(file, [...earlier], writer, own?.bytes ?? 0);
  }

  async append(data: Uint8Array): Promise<Segment[]> {
    try {
      // At its place, not at the end: bytes of an append that failed are written over.
      for (let at = 0; at < data.length; ) {
        const { bytesWritten } = await this.#file.write(data, at, data.length - at, this.#bytes + at);
        at += bytesWritten;
      }
      await this.#file.datasync();
    } catch (error) {
      throw directoryFault(error);
    }
    this.#bytes += data.length;
    return [...this.#earlier, { name: this.#name, bytes: this.#bytes }];
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
