import { randomUUIDv7 } from "node:crypto";

/** Ids sort by creation, which is what lists of files are ordered by. */
export function newFileId(): string {
  return `file-${randomUUIDv7()}`;
}
