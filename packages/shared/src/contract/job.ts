import { z } from "zod";
import { type EmbeddingRequest, embeddingRequestSchema, embeddingResultSchema } from "./embedding.ts";
import { jobEstimateSchema, jobSizeSchema } from "./estimate.ts";
import { generationRequestSchema, generationResultSchema, usageSchema } from "./generation.ts";
import { jobStateSchema } from "./lifecycle.ts";
import { type WebhookTarget, webhookStateSchema } from "./webhook.ts";

export const ENDPOINTS = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

/** `interactive`: somebody waits for it. `batch`: it may wait for those, and yields to them. Each model has a queue for each. */
export const JOB_CLASSES = ["interactive", "batch"] as const;
export type JobClass = (typeof JOB_CLASSES)[number];

/** The queues of each model: one for each class, and one for the jobs that are suspected of killing their engines. */
export const QUEUE_NAMES = [...JOB_CLASSES, "suspects"] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];

/** Where a job waits. */
export function queueOf(job: { class: JobClass; suspectSinceMs?: number | null }): QueueName {
  return job.suspectSinceMs == null ? job.class : "suspects";
}

/** What a job is asked for: text, or vectors. */
const jobRequestSchema = z.union([generationRequestSchema, embeddingRequestSchema]);
export type JobRequest = z.infer<typeof jobRequestSchema>;

/** How many slots of an engine a request fills: one for each choice; vectors take none. */
export function slotsOf(request: JobRequest): number {
  return isEmbeddingRequest(request) ? 0 : request.choices;
}

export function isEmbeddingRequest(request: JobRequest): request is EmbeddingRequest {
  return "inputs" in request;
}

export const jobResultSchema = z.union([generationResultSchema, embeddingResultSchema]);
export type JobResult = z.infer<typeof jobResultSchema>;

export const jobErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable().default(null),
});
export type JobError = z.infer<typeof jobErrorSchema>;

/** OpenAI's rule for metadata: at most 16 pairs, keys up to 64 characters, values up to 512. */
export const metadataSchema = z
  .record(z.string().max(64), z.string().max(512))
  .refine((metadata) => Object.keys(metadata).length <= 16, "at most 16 pairs");
export type Metadata = z.infer<typeof metadataSchema>;

/** What a job knows of the line that it runs, when it is one of a batch. */
const batchLineSchema = z.object({
  customId: z.string(),
  /** Further lines of the batch that ask for the very same, and have the same end. */
  copies: z.int().nonnegative(),
  /** What it was thought to cost when it was fed, in tokens. */
  estimatedTokens: z.int().nonnegative(),
});

/** A job as Redis holds it. Times are Unix milliseconds. */
export const jobRecordSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  model: z.string(),
  endpoint: z.enum(ENDPOINTS),
  class: z.enum(JOB_CLASSES).default("interactive"),
  state: jobStateSchema,
  /** How many times a worker began it; the number of the current attempt is the fencing epoch. */
  attempt: z.int().nonnegative(),
  /** How many of its attempts ended in the death of their engine by itself. */
  crashes: z.int().nonnegative(),
  /** How many of its attempts in a row got no further before their engine or their worker was killed from outside. */
  kills: z.int().nonnegative().default(0),
  /** How many of its attempts were lost with their worker: another one took the job over. */
  lostAttempts: z.int().nonnegative().default(0),
  /** How often it had to leave its slot to an interactive job. */
  parks: z.int().nonnegative().default(0),
  /** Since when, by Redis' clock, it runs alone only, because it may be what killed an engine or a worker; null: it is no suspect. */
  suspectSinceMs: z.int().nullable().default(null),
  /** How many slots it fills. */
  slots: z.int().nonnegative().default(1),
  cancelRequested: z.boolean(),
  request: jobRequestSchema,
  metadata: metadataSchema,
  /** What its endpoint's answer repeats of the body, as it was sent; null: nothing. */
  echoed: z.record(z.string(), z.unknown()).nullable().default(null),
  traceparent: z.string().nullable(),
  createdAtMs: z.int(),
  queuedAtMs: z.int(),
  startedAtMs: z.int().nullable(),
  firstTokenAtMs: z.int().nullable(),
  endedAtMs: z.int().nullable(),
  /** When the job is of no use any more, by Redis' clock; null: it may take as long as it likes. */
  deadlineAtMs: z.int().nullable().default(null),
  /** When its current attempt began, by Redis' clock. */
  claimedAtMs: z.int().nullable().default(null),
  /** null: a record from before there were sizes. */
  size: jobSizeSchema.nullable().default(null),
  /** What its submitter was told to expect; null: there was no measurement to tell anything by. One that makes no sense stops no job. */
  estimate: jobEstimateSchema.nullable().catch(null).default(null),
  /** Where its end is told, and how far that is. */
  webhook: webhookStateSchema.nullable().default(null),
  /** How long its submitter wants it kept once it has ended; null: as whoever ends it is configured. */
  retentionSeconds: z.int().positive().nullable().default(null),
  /** Likewise its events, which may go earlier. */
  eventsRetentionSeconds: z.int().positive().nullable().default(null),
  /** When its record goes. null: it has not ended. */
  expiresAtMs: z.int().nullable().default(null),
  /** The job that it repeats. */
  retriedFrom: z.string().nullable().default(null),
  /** Digest of the Idempotency-Key that it was submitted with. */
  idempotencyKeyHash: z.string().nullable().default(null),
  /** null: it was submitted by itself. Its id says which line of which batch it is (`line-job.ts`). */
  line: batchLineSchema.nullable().default(null),
  /** Set when the job has ended. A job that ended without an answer of its own has what it had published (`partial-answer.ts`). */
  usage: usageSchema.nullable(),
  result: jobResultSchema.nullable(),
  error: jobErrorSchema.nullable(),
});
export type JobRecord = z.infer<typeof jobRecordSchema>;

/** All of a job but what it was asked, which may be large. */
export const jobSummarySchema = jobRecordSchema.omit({ request: true });
export type JobSummary = z.infer<typeof jobSummarySchema>;

/** What a submitter knows of a job; the rest of the record starts empty. */
export type NewJob = Pick<
  JobRecord,
  "id" | "tenant" | "model" | "endpoint" | "class" | "request" | "metadata" | "traceparent" | "createdAtMs"
> &
  Partial<
    Pick<
      JobRecord,
      | "echoed"
      | "deadlineAtMs"
      | "size"
      | "estimate"
      | "retentionSeconds"
      | "eventsRetentionSeconds"
      | "retriedFrom"
      | "idempotencyKeyHash"
      | "line"
    >
  > & {
    webhook?: WebhookTarget | null;
  };
