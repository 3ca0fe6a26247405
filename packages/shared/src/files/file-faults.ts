import { QuernError } from "../contract/errors.ts";

/** Of file systems: no room, no room for this owner, no room for a file of this size. */
const FULL_CODES = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const MISSING_CODES = new Set(["ENOENT", "ENOTDIR"]);

export function fileMissing(key: string, cause?: unknown): QuernError {
  return new QuernError("file_missing", `the content of the file ${key} is gone`, { cause });
}

/** Whether a file system said that there is no such file. */
export function isMissing(error: unknown): boolean {
  return MISSING_CODES.has(codeOf(error));
}

/** What a file system said, as ours; what else was thrown stays as it is. */
export function directoryFault(error: unknown): unknown {
  const code = codeOf(error);
  if (FULL_CODES.has(code)) {
    return new QuernError(
      "file_store_full",
      `there is no room for files (${code}): delete files that are not needed, or make room where QUERN_FILES points to`,
      { cause: error },
    );
  }
  // Of system calls only: what Node and we say of a stream has other codes.
  if (error instanceof Error && "syscall" in error) {
    return new QuernError(
      "file_store_unavailable",
      `files can't be read or written just now (${code}): see to the folder that QUERN_FILES names`,
      { cause: error },
    );
  }
  return error;
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | null)?.code ?? "");
}
