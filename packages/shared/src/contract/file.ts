import { z } from "zod";

/** `batch`: requests, uploaded. `batch_output`: what became of them. */
export const FILE_PURPOSES = ["batch", "batch_output"] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

/** What is known of a file; its content is in the file store. */
export const fileRecordSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  purpose: z.enum(FILE_PURPOSES),
  /** As its uploader calls it: shown, and never used as a path. */
  filename: z.string(),
  bytes: z.number().int().min(0),
  createdAtMs: z.number(),
  /** When it is removed; null: when somebody deletes it. */
  expiresAtMs: z.number().nullable(),
  status: z.enum(["uploaded", "processed", "error"]),
});
export type FileRecord = z.infer<typeof fileRecordSchema>;

/** Whose file it is, and which. */
export type FileRef = Pick<FileRecord, "tenant" | "id">;

const FILE_ID = /^file-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isFileId(text: string): boolean {
  return FILE_ID.test(text);
}
