import { z } from "zod";
import { FILE_PURPOSES } from "../contract/file.ts";

/** When a file is removed, from its creation on; OpenAI's bounds: an hour, 30 days. */
export const expiresAfterSchema = z.strictObject({
  anchor: z.literal("created_at", "must be 'created_at'"),
  seconds: z.coerce.number().int().min(3_600).max(2_592_000),
});

/** The fields of `POST /v1/files` beside the file itself. */
export const uploadFieldsSchema = z.strictObject({
  purpose: z.literal("batch", {
    error: ({ input }) =>
      input === undefined
        ? "is missing: send 'batch'"
        : "must be 'batch': requests for /v1/batches are the one kind of file that is taken",
  }),
  expires_after: expiresAfterSchema.nullish(),
});

/** `GET /v1/files` */
export const fileListQuerySchema = z.strictObject({
  purpose: z.enum(FILE_PURPOSES).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(10_000),
  order: z.enum(["asc", "desc"]).default("desc"),
  /** The last id of the page before. */
  after: z.string().optional(),
});
