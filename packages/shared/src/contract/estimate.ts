import { z } from "zod";

/** Half of such jobs are earlier than `p50`, nine of ten are earlier than `p90`. */
export const quantilesSchema = z.object({ p50: z.number(), p90: z.number() });
export type Quantiles = z.infer<typeof quantilesSchema>;

/** When a job begins and ends, as it looks at `madeAtMs`. Unix milliseconds of Redis' clock. */
export const jobEstimateSchema = z.object({
  madeAtMs: z.int(),
  /** How many other jobs had to end before its turn; 0: a slot was free. */
  endsBefore: z.int().nonnegative(),
  startAtMs: quantilesSchema,
  endAtMs: quantilesSchema,
});
export type JobEstimate = z.infer<typeof jobEstimateSchema>;

/** How much work a job may be, as far as its request tells. */
export const jobSizeSchema = z.object({
  /** UTF-16 units of all texts that the model reads. */
  promptCharacters: z.int().nonnegative(),
  /** Of one choice; null: as many as the context leaves room for. Vectors have none. */
  maxTokens: z.int().positive().nullable(),
});
export type JobSize = z.infer<typeof jobSizeSchema>;

/** Why a job that has not ended has no estimate. */
export const NO_ESTIMATE_REASONS = [
  "no_worker", // no worker of its model is ready
  "no_measurement", // none of them has finished a job of this class yet
  "starting", // it has left its queue and no worker has begun it yet, or it waits apart from its queue
  "queue_too_long", // further back than positions are looked for
] as const;
export type NoEstimateReason = (typeof NO_ESTIMATE_REASONS)[number];
