import { z } from "zod";
import { batchStatusSchema } from "./batch-lifecycle.ts";
import { quantilesSchema } from "./estimate.ts";
import { usageSchema } from "./generation.ts";
import { ENDPOINTS, jobErrorSchema, jobRecordSchema, jobResultSchema, metadataSchema } from "./job.ts";
import { TERMINAL_STATES } from "./lifecycle.ts";
import { webhookStateSchema } from "./webhook.ts";

/** What can be wrong with an input file, in OpenAI's words where it has some. */
export const BATCH_FAULT_CODES = [
  "invalid_json_line",
  "invalid_request_line", // JSON, but no request
  "duplicate_custom_id",
  "url_mismatch",
  "model_mismatch",
  "model_not_found",
  "line_too_long",
  "empty_file",
  "too_many_tasks",
  "input_file_missing", // it was deleted, or has expired, before it was read to its end
] as const;
export type BatchFaultCode = (typeof BATCH_FAULT_CODES)[number];

/** `line` counts from 1; null: the fault is the file's. */
export const batchFaultSchema = z.object({
  code: z.enum(BATCH_FAULT_CODES),
  message: z.string(),
  param: z.string().nullable(),
  line: z.int().positive().nullable(),
});
export type BatchFault = z.infer<typeof batchFaultSchema>;

const countSchema = z.int().nonnegative();

/** How fast it goes, and when it will be done, as its scheduler sees it. Times are Unix milliseconds. */
export const batchProgressSchema = z.object({
  measuredAtMs: z.int(),
  /** Over the last half minute or so. */
  linesPerSecond: z.number().nonnegative(),
  outputTokensPerSecond: z.number().nonnegative(),
  /** null: nothing to tell it by yet. */
  endAtMs: quantilesSchema.nullable(),
});
export type BatchProgress = z.infer<typeof batchProgressSchema>;

/** A batch as Redis holds it. Times are Unix milliseconds. */
export const batchRecordSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  endpoint: z.enum(ENDPOINTS),
  /** The model's own name, which its queue has; null: the input has not been read yet. */
  model: z.string().nullable(),
  /** The name of the model that no worker has brought yet, for which it stays or stayed `validating`; null: it never waited. */
  awaitedModel: z.string().nullable(),
  inputFileId: z.string(),
  status: batchStatusSchema,
  /** Since when no more of its lines are fed; null: it is not paused. */
  pausedAtMs: z.int().nullable(),
  /** Whether identical lines with one possible answer are computed once. */
  dedupe: z.boolean(),
  metadata: metadataSchema,
  outputExpiresAfterSeconds: z.int().positive().nullable(),
  /** The batch whose failed lines it repeats. */
  retriedFrom: z.string().nullable(),
  traceparent: z.string().nullable(),
  webhook: webhookStateSchema.nullable(),
  errors: z.array(batchFaultSchema),
  outputFileId: z.string().nullable(),
  errorFileId: z.string().nullable(),
  createdAtMs: z.int(),
  inProgressAtMs: z.int().nullable(),
  /** When the rest of it is of no use any more, by Redis' clock. */
  expiresAtMs: z.int(),
  finalizingAtMs: z.int().nullable(),
  completedAtMs: z.int().nullable(),
  failedAtMs: z.int().nullable(),
  expiredAtMs: z.int().nullable(),
  cancellingAtMs: z.int().nullable(),
  cancelledAtMs: z.int().nullable(),
  /** Lines of its input; 0 until it has been read. */
  total: countSchema,
  completed: countSchema,
  /** Lines that have ended in another way: their own errors, and what a cancel or the end of the window left over. */
  failed: countSchema,
  /** Of its completed lines, and of what the others had come to. */
  usage: usageSchema,
  progress: batchProgressSchema.nullable(),
});
export type BatchRecord = z.infer<typeof batchRecordSchema>;

/** What a submitter knows of a batch. */
export type NewBatch = Pick<
  BatchRecord,
  | "id"
  | "tenant"
  | "endpoint"
  | "inputFileId"
  | "dedupe"
  | "metadata"
  | "outputExpiresAfterSeconds"
  | "retriedFrom"
  | "traceparent"
  | "createdAtMs"
  | "expiresAtMs"
> & { webhook: { url: string; secret: string | null } | null };

/** How a line ended, as it waits to be written to the batch's files. */
export const endedLineSchema = z.object({
  /** Of the line in the input, from 0. */
  index: countSchema,
  customId: z.string(),
  /** Further lines that ask for the very same, and have the same end. */
  copies: countSchema,
  state: z.enum(TERMINAL_STATES),
  createdAtMs: z.int(),
  endedAtMs: z.int(),
  /** What its answer repeats of its body; null: nothing. */
  echoed: jobRecordSchema.shape.echoed.unwrap(),
  usage: usageSchema.nullable(),
  result: jobResultSchema.nullable(),
  error: jobErrorSchema.nullable(),
});
export type EndedLine = z.infer<typeof endedLineSchema>;
