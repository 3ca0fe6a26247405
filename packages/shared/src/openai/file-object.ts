import type { FileRecord } from "../contract/file.ts";

/** OpenAI's file object; times in Unix seconds. */
export interface FileObject {
  id: string;
  object: "file";
  bytes: number;
  created_at: number;
  /** Absent: it stays until it is deleted. */
  expires_at?: number;
  filename: string;
  purpose: string;
  status: string;
}

export function toFileObject(record: FileRecord): FileObject {
  const { id, bytes, createdAtMs, expiresAtMs, filename, purpose, status } = record;
  return {
    id,
    object: "file",
    bytes,
    created_at: Math.floor(createdAtMs / 1_000),
    ...(expiresAtMs !== null && { expires_at: Math.floor(expiresAtMs / 1_000) }),
    filename,
    purpose,
    status,
  };
}
