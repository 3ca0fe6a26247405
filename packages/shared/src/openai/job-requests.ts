import { z } from "zod";
import { ENDPOINTS, JOB_CLASSES, metadataSchema } from "../contract/job.ts";
import { JOB_STATES } from "../contract/lifecycle.ts";
import { webhookSecretSchema } from "../contract/webhook.ts";
import { deadlineFields } from "./deadline.ts";

/** `POST /v1/jobs` */
export const jobBodySchema = z.strictObject({
  endpoint: z.enum(ENDPOINTS),
  body: z.record(z.string(), z.unknown()),
  /** Absent: as the body's `service_tier` has it. */
  class: z.enum(JOB_CLASSES).nullish(),
  metadata: metadataSchema.nullish().transform((metadata) => metadata ?? {}),
  ...deadlineFields,
  /** Where the job's end is told. */
  webhook: z.strictObject({ url: z.string().max(2_048), secret: webhookSecretSchema.nullish() }).nullish(),
});

/** `GET /v1/jobs` */
export const jobListQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(["asc", "desc"]).default("desc"),
  /** The last id of the page before. */
  after: z.string().optional(),
  status: z.enum(JOB_STATES).optional(),
  model: z.string().optional(),
});

/** The longest `GET /v1/jobs/{id}?wait=` may take, below the time-outs of common proxies. */
export const MAX_WAIT_SECONDS = 50;

/** `GET /v1/jobs/{id}` */
export const jobQuerySchema = z.strictObject({
  wait: z.coerce.number().min(0).default(0),
});
