import { Readable } from "node:stream";
import { fileMissing } from "./file-faults.ts";
import { checkedSegment } from "./file-key.ts";
import type { ByteRange, Segment } from "./file-store.ts";

export function totalBytes(segments: readonly Segment[]): number {
  return segments.reduce((total, { bytes }) => total + bytes, 0);
}

/**
 * The joined content of segments, or of a range of it; `readPart` gives that of one.
 * @throws QuernError `file_missing` naming `key` where a segment is shorter than recorded.
 */
export async function* readSegmentParts(
  key: string,
  segments: readonly Segment[],
  range: ByteRange,
  readPart: (name: string, part: ByteRange) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  for (const { name, start, end } of segmentParts(segments, range)) {
    let bytes = 0;
    for await (const chunk of readPart(checkedSegment(name), { start, end })) {
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes < end - start) throw fileMissing(key);
  }
}

/** Which part of which segments holds the bytes of a range of the whole; none of the parts is empty. */
function segmentParts(
  segments: readonly Segment[],
  { start = 0, end = Number.POSITIVE_INFINITY }: ByteRange,
): { name: string; start: number; end: number }[] {
  let begin = 0;
  return segments.flatMap(({ name, bytes }) => {
    const part = { name, start: Math.max(start - begin, 0), end: Math.min(end - begin, bytes) };
    begin += bytes;
    return part.start < part.end ? [part] : [];
  });
}

export function byteStream(chunks: AsyncGenerator<Buffer>): Readable {
  return Readable.from(chunks, { objectMode: false });
}
