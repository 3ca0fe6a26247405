import type { Readable } from "node:stream";
import type { BatchRecord } from "@quern/shared/contract/batch";
import { collectedSchema } from "@quern/shared/contract/batch-collected";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { QuernError } from "@quern/shared/contract/errors";
import { fileKey } from "@quern/shared/files/file-key";
import type { FileStore } from "@quern/shared/files/file-store";
import { readLines } from "@quern/shared/files/read-lines";
import { totalBytes } from "@quern/shared/files/segments";

/** How far somebody has read the two files of a batch, in bytes: always behind a whole line. */
export interface LinePosition {
  output: number;
  errors: number;
}

/** A line of one of the files, and the position behind it. */
export interface CollectedLine {
  text: string;
  position: LinePosition;
}

/** One of a batch's files as it stands, growing or finished. */
interface CollectedFile {
  bytes: number;
  read: (range: { start: number; end?: number }) => Readable;
}
export type CollectedFiles = Record<keyof LinePosition, CollectedFile>;

const LF = 0x0a;
const NOTHING: CollectedFile = {
  bytes: 0,
  read: () => {
    throw new Error("there is nothing to read");
  },
};

/**
 * The files of a batch as they stand: what its keeper has recorded while it runs, the finished ones once it is over. Both
 * have the same bytes at the same positions.
 * @param recorded what `readCollected` gave before the record was read; null: nothing was recorded yet.
 * @throws QuernError `events_expired` when a finished file is no longer there.
 */
export async function openCollected(
  fileStore: FileStore,
  record: BatchRecord,
  recorded: unknown,
): Promise<CollectedFiles> {
  const { id: batchId, tenant } = record;
  if (isBatchOver(record.status)) {
    const finished = async (id: string | null): Promise<CollectedFile> => {
      if (id === null) return NOTHING;
      const key = fileKey({ tenant, id });
      const bytes = await fileStore.size(key);
      if (bytes === null) throw linesExpired(batchId, id);
      return { bytes, read: (range) => fileStore.read(key, range) };
    };
    return { output: await finished(record.outputFileId), errors: await finished(record.errorFileId) };
  }
  if (recorded === null) return { output: NOTHING, errors: NOTHING };
  const collected = collectedSchema.parse(recorded);
  const growing = (id: string, segments: typeof collected.output): CollectedFile => ({
    bytes: totalBytes(segments),
    read: (range) => fileStore.readSegments(fileKey({ tenant, id }), segments, range),
  });
  return {
    output: growing(collected.outputFileId, collected.output),
    errors: growing(collected.errorFileId, collected.errors),
  };
}

function linesExpired(batchId: string, fileId: string): QuernError {
  return new QuernError(
    "events_expired",
    `the lines of ${batchId} are no longer kept: its file ${fileId} was deleted or has expired; ` +
      "leave out ?lines=true to follow the batch without them",
  );
}

/** The lines behind a position, those of the output first; it holds one chunk and one line at a time. */
export async function* linesAfter(
  files: CollectedFiles,
  position: LinePosition,
): AsyncGenerator<CollectedLine, void, undefined> {
  let at = position;
  for (const which of ["output", "errors"] as const) {
    const { bytes, read } = files[which];
    const start = at[which];
    if (start >= bytes) continue;
    const lines = readLines(read({ start }), {
      maxLineBytes: Number.MAX_SAFE_INTEGER,
      from: { number: 1, offset: start },
    });
    for await (const line of lines) {
      if (!("line" in line)) throw new Error(`a line of a batch's ${which} is no text`);
      at = { ...at, [which]: line.offset + line.bytes + 1 };
      yield { text: line.line, position: at };
    }
  }
}

export function hasLinesAfter(files: CollectedFiles, position: LinePosition): boolean {
  return position.output < files.output.bytes || position.errors < files.errors.bytes;
}

/** Whether lines begin at a position that somebody claims to have read to. */
export async function isPositionIn(files: CollectedFiles, position: LinePosition): Promise<boolean> {
  for (const which of ["output", "errors"] as const) {
    const { bytes, read } = files[which];
    const at = position[which];
    if (at > bytes) return false;
    if (at === 0) continue;
    for await (const [before] of read({ start: at - 1, end: at })) if (before !== LF) return false;
  }
  return true;
}
