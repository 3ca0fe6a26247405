import { buffer } from "node:stream/consumers";
import { fileKey } from "./file-key.ts";
import type { FileStore } from "./file-store.ts";

/**
 * Which lines of a batch are copies: beside its files there is one that holds, of each line, the index of the line that it
 * copies, or `NO_LEADER`; 4 bytes a line, little-endian. It is written before the batch is in progress, and only where the
 * batch wants identical lines computed once.
 */
export const NO_LEADER = -1;

interface OfBatch {
  tenant: string;
  id: string;
}

export async function writeLeaders(
  files: FileStore,
  batch: OfBatch,
  leaders: Int32Array,
  signal: AbortSignal,
): Promise<void> {
  const content = Buffer.from(leaders.buffer, leaders.byteOffset, leaders.byteLength);
  await files.write(leadersKey(batch), slices(content), signal);
}

/** null: no line is a copy. @throws QuernError of the store. */
export async function readLeaders(files: FileStore, batch: OfBatch): Promise<Int32Array | null> {
  if ((await files.size(leadersKey(batch))) === null) return null;
  const content = await buffer(files.read(leadersKey(batch)));
  return new Int32Array(content.buffer.slice(content.byteOffset, content.byteOffset + content.length));
}

/** Of each line, how many others are its copies. */
export function countCopies(leaders: Int32Array): Int32Array {
  const copies = new Int32Array(leaders.length);
  for (const leader of leaders) if (leader !== NO_LEADER) copies[leader] = (copies[leader] ?? 0) + 1;
  return copies;
}

export async function removeLeaders(files: FileStore, batch: OfBatch): Promise<void> {
  await files.remove(leadersKey(batch));
}

function leadersKey({ tenant, id }: OfBatch): string {
  return fileKey({ tenant, id: `${id}_leaders` });
}

const SLICE_BYTES = 2 ** 20;

async function* slices(content: Buffer): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < content.length; at += SLICE_BYTES) yield content.subarray(at, at + SLICE_BYTES);
}
