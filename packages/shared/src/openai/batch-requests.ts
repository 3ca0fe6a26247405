import { z } from "zod";
import { ENDPOINTS, metadataSchema } from "../contract/job.ts";
import { webhookSecretSchema } from "../contract/webhook.ts";
import { completionWindowSchema } from "./completion-window.ts";

/** OpenAI's bounds of `expires_after`: an hour to 30 days. */
const MIN_EXPIRES_AFTER_SECONDS = 3_600;
const MAX_EXPIRES_AFTER_SECONDS = 30 * 86_400;

/** `POST /v1/batches`: OpenAI's fields, then Quern's. */
export const batchBodySchema = z.strictObject({
  input_file_id: z.string(),
  endpoint: z.enum(ENDPOINTS),
  completion_window: completionWindowSchema.prefault("24h"),
  metadata: metadataSchema.nullish().transform((metadata) => metadata ?? {}),
  /** How long output and error file are kept, from when they are made. */
  output_expires_after: z
    .strictObject({
      anchor: z.literal("created_at"),
      seconds: z.int().min(MIN_EXPIRES_AFTER_SECONDS).max(MAX_EXPIRES_AFTER_SECONDS),
    })
    .nullish(),
  /** Whether identical lines with one possible answer are computed once. Absent: as the gateway is configured. */
  dedupe: z.boolean().nullish(),
  /** Where the batch's end is told. */
  webhook: z.strictObject({ url: z.string().max(2_048), secret: webhookSecretSchema.nullish() }).nullish(),
});

/** `GET /v1/batches` */
export const batchListQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  /** The last id of the page before. */
  after: z.string().optional(),
});

/** `GET /v1/batches/{id}/events` */
export const batchEventsQuerySchema = z.strictObject({
  /** `true`: what the batch's files come to hold is told too, line by line. */
  lines: z.enum(["true", "false"]).default("false"),
  /** For those who can't set the header `Last-Event-ID`. */
  after: z.string().optional(),
});
