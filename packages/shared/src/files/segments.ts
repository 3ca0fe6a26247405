import type { ByteRange, Segment } from "./file-store.ts";

export function totalBytes(segments: readonly Segment[]): number {
  return segments.reduce((total, { bytes }) => total + bytes, 0);
}

/** Which part of which segments holds the bytes of a range of the whole; none of the parts is empty. */
export function segmentParts(
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
