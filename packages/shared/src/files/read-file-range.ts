import { open } from "node:fs/promises";
import { directoryFault, fileMissing, isMissing } from "./file-faults.ts";
import type { ByteRange } from "./file-store.ts";

/** Large enough that the way through the stream costs little beside the read. */
const CHUNK_BYTES = 256 * 2 ** 10;

/**
 * The bytes of a file on disk; it is open only while they are read.
 * @throws QuernError `file_missing` naming `key`, `file_store_unavailable`.
 */
export async function* readFileRange(
  path: string,
  key: string,
  { start = 0, end = Number.POSITIVE_INFINITY }: ByteRange,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    await using file = await open(path, "r");
    for (let at = start; at < end; ) {
      const wanted = Math.min(CHUNK_BYTES, end - at);
      // Its own buffer each time: who reads may keep a chunk.
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(wanted), 0, wanted, at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } catch (error) {
    throw isMissing(error) ? fileMissing(key, error) : directoryFault(error);
  }
}
