import { z } from "zod";
import { calibrationSchema, UNCALIBRATED, workerRatesSchema } from "./rates.ts";

/** What a loaded model is and what one of its slots can take. */
export const modelDescriptionSchema = z.object({
  model: z.string(),
  aliases: z.array(z.string()),
  /** `embedding`: it gives vectors and no text. What was written before there was the field are chat models. */
  kind: z.enum(["chat", "embedding"]).default("chat"),
  /** Numbers of a vector; null: a worker that told none. */
  embeddingDimensions: z.int().positive().nullable().default(null),
  /** GGUF `general.architecture`: qwen2, qwen2moe, qwen3, qwen3moe, … */
  architecture: z.string(),
  parameters: z.int().nonnegative(),
  /** null for a dense model. */
  experts: z.object({ total: z.int(), used: z.int() }).nullable(),
  contextTokens: z.int().positive(),
  thinking: z.enum(["optional", "always", "never"]),
  fileBytes: z.int().nonnegative(),
  /** Bytes of the longest token: a text of n bytes has at least n / maxTokenBytes tokens. null: not known. */
  maxTokenBytes: z.int().positive().nullable().default(null),
});
export type ModelDescription = z.infer<typeof modelDescriptionSchema>;

/** `unhealthy`: its engines die again and again. It goes on trying, and takes jobs while one runs. */
export const WORKER_STATES = ["loading", "ready", "draining", "engine_down", "unhealthy"] as const;
export type WorkerState = (typeof WORKER_STATES)[number];

/** A worker's heartbeat. Times are Unix milliseconds. */
export const workerRegistrationSchema = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  enginePid: z.int().nullable(),
  slots: z.int().positive(),
  busy: z.int().nonnegative(),
  state: z.enum(WORKER_STATES),
  startedAtMs: z.int(),
  lastSeenAtMs: z.int(),
  description: modelDescriptionSchema,
  /** Slots that batch jobs leave free. */
  reservedSlots: z.int().nonnegative().default(0),
  /** Batch jobs that the worker runs at a time; null: a worker of a release that did not say. */
  batchSlots: z.int().nonnegative().nullable().default(null),
  /** null: it has completed no job yet, or is of a release that measures otherwise: estimates may be missing, not workers. */
  rates: workerRatesSchema.nullable().default(null).catch(null),
  calibration: calibrationSchema.default(UNCALIBRATED).catch(UNCALIBRATED),
});
export type WorkerRegistration = z.infer<typeof workerRegistrationSchema>;

/** How often a worker renews its registration, and how long one outlives its last renewal. */
export const HEARTBEAT_INTERVAL_MS = 1_000;
export const REGISTRATION_TTL_MS = 10_000;
