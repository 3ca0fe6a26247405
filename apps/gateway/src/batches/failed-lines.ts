import type { BatchRecord } from "@quern/shared/contract/batch";
import { indexOfLineId } from "@quern/shared/contract/batch-line-id";
import { fileKey } from "@quern/shared/files/file-key";
import type { FileStore } from "@quern/shared/files/file-store";
import { readLines } from "@quern/shared/files/read-lines";
import { LineSet } from "./line-set.ts";

/** Lines were bounded when they were read first. */
const ANY_LENGTH = { maxLineBytes: Number.MAX_SAFE_INTEGER };

/** Which lines of a batch that is over stand in its error file. */
export async function readFailedLines(
  fileStore: FileStore,
  { tenant, total }: Pick<BatchRecord, "tenant" | "total">,
  errorFileId: string,
): Promise<LineSet> {
  const failed = new LineSet(total);
  for await (const line of readLines(fileStore.read(fileKey({ tenant, id: errorFileId })), ANY_LENGTH)) {
    const index = "line" in line ? indexOfLineId(String(JSON.parse(line.line).id)) : null;
    if (index !== null) failed.add(index);
  }
  return failed;
}

/** The lines of an input that are wanted, as they stand there. Of an input in which blank lines have no index. */
export async function* pickLines(
  input: AsyncIterable<Uint8Array>,
  wanted: LineSet,
): AsyncGenerator<Buffer, void, undefined> {
  let index = 0;
  for await (const line of readLines(input, ANY_LENGTH)) {
    if ("line" in line && wanted.has(index)) yield Buffer.from(`${line.line}\n`);
    index += 1;
  }
}
