import { batchStatusSchema, isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { quantilesSchema } from "@quern/shared/contract/estimate";
import { z } from "zod";

const countsSchema = z.object({ total: z.int(), completed: z.int(), failed: z.int() });

/** Unix seconds. */
const timeSchema = z.number().nullish();

/** What moves while a batch runs, as `progress` events tell it. */
export const batchProgressSchema = z.object({
  status: batchStatusSchema,
  request_counts: countsSchema,
  /** Absent: the server is of an earlier release. */
  awaited_model: z.string().nullish(),
  paused_at: timeSchema,
  progress: z
    .object({
      lines_per_second: z.number(),
      output_tokens_per_second: z.number(),
      estimated_end_at: quantilesSchema.nullish(),
    })
    .nullish(),
});
export type BatchProgress = z.infer<typeof batchProgressSchema>;

const usageSchema = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int() }),
  output_tokens: z.int(),
});

/** What the command line reads of a batch as the server shows it. */
export const batchSchema = batchProgressSchema.extend({
  id: z.string(),
  endpoint: z.string(),
  model: z.string().nullish(),
  input_file_id: z.string(),
  output_file_id: z.string().nullish(),
  error_file_id: z.string().nullish(),
  errors: z
    .object({
      data: z.array(
        z.object({
          code: z.string().nullish(),
          message: z.string().nullish(),
          line: z.int().nullish(),
        }),
      ),
    })
    .nullish(),
  created_at: z.number(),
  completed_at: timeSchema,
  failed_at: timeSchema,
  expired_at: timeSchema,
  cancelled_at: timeSchema,
  expires_at: timeSchema,
  usage: usageSchema.nullish(),
});
export type Batch = z.infer<typeof batchSchema>;

export const batchListSchema = z.object({ data: z.array(batchSchema), has_more: z.boolean() });

export function isOver({ status }: Pick<Batch, "status">): boolean {
  return isBatchOver(status);
}

/** From its creation to its end; null: it has not ended. */
export function secondsOf(batch: Batch): number | null {
  const { completed_at, failed_at, expired_at, cancelled_at, created_at } = batch;
  const endedAt = completed_at ?? failed_at ?? expired_at ?? cancelled_at ?? null;
  return endedAt === null ? null : endedAt - created_at;
}
