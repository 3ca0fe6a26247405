import type { Readable } from "node:stream";

/** A piece of a growing file. Only the first `bytes` of it count. */
export interface Segment {
  name: string;
  bytes: number;
}

/** From `start` to before `end`, in bytes; what lies past the end of the content is not there. */
export interface ByteRange {
  start?: number;
  end?: number;
}

/**
 * Where the contents of files are kept. What they are called, whose they are and how long they stay is said elsewhere (`redis/file-records.ts`).
 *
 * Keys are made by `file-key.ts`. Every method throws QuernError `file_store_full` when there is no room and
 * `file_store_unavailable` when the store can't be reached, read or written; streams end with such an error.
 */
export interface FileStore {
  /** Callers of `append` collect so many bytes first, or a few seconds' worth. 0: each line may go at once. */
  readonly preferredAppendBytes: number;

  /**
   * Streams `source` to a file that becomes visible whole or not at all, in the place of one that was there; durable when it resolves. Nothing is left behind
   * when it fails or `signal` aborts, and then `source` is let go.
   */
  write(key: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<{ bytes: number }>;

  /** Back-pressured; nothing is open any more once the stream is destroyed or read to its end. Ends with QuernError `file_missing` where there is none. */
  read(key: string, range?: ByteRange): Readable;

  /** In bytes; null: there is none. */
  size(key: string): Promise<number | null>;

  /** Nothing happens where there is none. */
  remove(key: string): Promise<void>;

  /**
   * Goes on with a file that grows by the appends of one writer at a time. `segments` is what earlier writers left, as
   * its owner recorded it. A writer has segments of its own, named by `writer` (1 to 64 of `a-z A-Z 0-9 _`; the epoch of a lease, say),
   * so one that lost its lease can't harm what the next one writes: bytes beyond what was recorded are never read.
   */
  grow(key: string, writer: string, segments: readonly Segment[]): Promise<GrowingFile>;

  /** The joined content of segments of `key`. Ends with QuernError `file_missing` where one is gone or shorter than recorded. */
  readSegments(key: string, segments: readonly Segment[], range?: ByteRange): Readable;

  /**
   * Joins segments into the file `key`, visible whole or not at all; its segments stay. Done again it changes nothing, also when the
   * segments have been removed meanwhile.
   */
  assemble(key: string, segments: readonly Segment[], signal: AbortSignal): Promise<{ bytes: number }>;

  /** All segments of that file, also unrecorded ones. Nothing happens where there are none. */
  removeSegments(key: string): Promise<void>;

  /** Removes what writes left behind that were cut off and have been silent for so long; resolves with how many. */
  removeLeftovers(silentForMs: number): Promise<number>;

  /** Lets go of connections. Streams that are open break. */
  close(): void;
}

export interface GrowingFile {
  /**
   * Durable when it resolves; returns all segments as they now stand, for the owner to record. One at a time. When it
   * fails, nothing has been appended, and it may be tried again.
   */
  append(data: Uint8Array): Promise<Segment[]>;
  close(): Promise<void>;
}
