import type { BatchFault, BatchRecord } from "@quern/shared/contract/batch";
import { QuernError } from "@quern/shared/contract/errors";
import { fileKey } from "@quern/shared/files/file-key";
import { type FileLine, readLines } from "@quern/shared/files/read-lines";
import type { Keeping } from "./keeping.ts";

/**
 * The lines of a batch's input. Those longer than `maxLineBytes` come without their text: only whoever decides whether
 * the batch is accepted has a limit, which may be another one later.
 * @throws QuernError of the file store; `isInputLost` tells which one.
 */
export function inputLines(
  { files }: Pick<Keeping, "files">,
  { tenant, inputFileId }: BatchRecord,
  maxLineBytes = Number.MAX_SAFE_INTEGER,
): AsyncGenerator<FileLine, void, undefined> {
  return readLines(files.read(fileKey({ tenant, id: inputFileId })), { maxLineBytes });
}

export async function isInputThere(
  { files }: Keeping,
  { tenant, inputFileId }: BatchRecord,
): Promise<boolean> {
  return (await files.size(fileKey({ tenant, id: inputFileId }))) !== null;
}

export function isInputLost(error: unknown): boolean {
  return error instanceof QuernError && error.code === "file_missing";
}

export function inputLostFault({ inputFileId }: BatchRecord): BatchFault {
  const message = `The input file ${inputFileId} was deleted, or has expired, before all of its lines had ended: upload it again, and make a new batch of what is missing.`;
  return { code: "input_file_missing", message, param: "input_file_id", line: null };
}
