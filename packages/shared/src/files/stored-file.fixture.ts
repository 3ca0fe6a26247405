import type { Redis } from "ioredis";
import type { FileRecord } from "../contract/file.ts";
import { createFileRecord, reserveFile } from "../redis/file-records.ts";
import { newFileId } from "./file-id.ts";
import { fileKey } from "./file-key.ts";
import type { FileStore } from "./file-store.ts";

/** A file as an upload leaves it, for tests. */
export async function storeFile(
  { redis, files }: { redis: Redis; files: FileStore },
  content: string,
  changes: Partial<FileRecord> = {},
): Promise<FileRecord> {
  const file = { tenant: "default", id: newFileId(), ...changes };
  await reserveFile(redis, file, Date.now() + 60_000);
  const source = (async function* () {
    yield Buffer.from(content);
  })();
  const { bytes } = await files.write(fileKey(file), source, AbortSignal.timeout(30_000));
  const record: FileRecord = {
    purpose: "batch",
    filename: "in.jsonl",
    bytes,
    createdAtMs: Date.now(),
    expiresAtMs: null,
    status: "processed",
    ...file,
  };
  await createFileRecord(redis, record);
  return record;
}

/** JSON lines. */
export function jsonl(lines: readonly object[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}
