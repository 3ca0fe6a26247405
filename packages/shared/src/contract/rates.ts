import { z } from "zod";
import { JOB_CLASSES, type JobClass } from "./job.ts";

/** Of the last values that were measured. */
const momentsSchema = z.object({
  count: z.int().positive(),
  mean: z.number(),
  variance: z.number().nonnegative(),
});
export type Moments = z.infer<typeof momentsSchema>;

function byClass<Schema extends z.ZodType>(schema: Schema) {
  const fields = JOB_CLASSES.map((jobClass) => [jobClass, schema.nullable().default(null)]);
  return z.object(Object.fromEntries(fields) as Record<JobClass, z.ZodDefault<z.ZodNullable<Schema>>>);
}

/** Speeds at one kind of load; null: not measured. */
const loadRatesSchema = z.object({
  /** From the slot to the first token, by tokens of the whole prompt: what came from caches makes it faster. */
  prefillMsPerToken: momentsSchema.nullable(),
  /** Of one slot. */
  decodeMsPerToken: momentsSchema.nullable(),
  /** What a job takes beside its time in a slot of the engine: lease, claim, commit. */
  overheadMs: momentsSchema,
  /** From one job's lease to the next one's: what a job keeps those behind it waiting. */
  occupancyMs: byClass(momentsSchema),
});
export type LoadRates = z.infer<typeof loadRatesSchema>;

/** How long prompts and answers are. */
const lengthsSchema = z.object({
  tokensPerCharacter: momentsSchema.nullable(),
  /** Of one choice. */
  completionTokens: momentsSchema.extend({ p50: z.number(), p90: z.number() }).nullable(),
  /** Completion tokens by the `max_tokens` that were asked for. */
  completionShare: momentsSchema.extend({ p50: z.number(), p90: z.number() }).nullable(),
});
export type Lengths = z.infer<typeof lengthsSchema>;

/** Before anything is known of how steady a machine is. */
export const FIRST_DRIFT = 0.2;

/**
 * What a worker has measured of the jobs that it completed last. Batching makes each job slower the more run beside it,
 * so speeds are kept apart: `full` when at least three quarters of the slots were busy, `light` below.
 */
export const workerRatesSchema = z.object({
  light: loadRatesSchema.nullable(),
  full: loadRatesSchema.nullable(),
  lengths: byClass(lengthsSchema),
  /** From the submission to the claim where a slot was free. */
  dispatchMs: momentsSchema.nullable(),
  /** How far speeds stray from what was measured, as a share of the time that is estimated. */
  drift: z.number().positive(),
});
export type WorkerRates = z.infer<typeof workerRatesSchema>;

/** How good estimates were: counts since the worker started, of jobs that had one when they were submitted. */
export const calibrationSchema = z.object({
  starts: z.int().nonnegative(),
  startsBeforeP50: z.int().nonnegative(),
  startsBeforeP90: z.int().nonnegative(),
  ends: z.int().nonnegative(),
  endsBeforeP50: z.int().nonnegative(),
  endsBeforeP90: z.int().nonnegative(),
});
export type Calibration = z.infer<typeof calibrationSchema>;

export const UNCALIBRATED: Calibration = {
  starts: 0,
  startsBeforeP50: 0,
  startsBeforeP90: 0,
  ends: 0,
  endsBeforeP50: 0,
  endsBeforeP90: 0,
};
