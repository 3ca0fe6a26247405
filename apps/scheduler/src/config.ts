import { webhookSecretListSchema } from "@quern/shared/contract/webhook";
import {
  type FileStoreConfig,
  fileStoreVariables,
  toFileStoreConfig,
} from "@quern/shared/files/file-store-config";
import { parseEnv } from "@quern/shared/process/env";
import { z } from "zod";

/**
 * Seconds before each attempt at a webhook, the first included
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability).
 */
const STANDARD_SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400";

const scheduleSchema = z
  .string()
  .transform((list) => list.split(",").map(Number))
  .pipe(z.array(z.number("must be seconds, separated by commas").min(0).max(86_400)).min(1).max(50));

const envSchema = z.object({
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).default("redis://127.0.0.1:6379"),
  QUERN_WEBHOOK_SECRET: webhookSecretListSchema.default([]),
  QUERN_WEBHOOK_ALLOW_PRIVATE: z.enum(["true", "false"]).default("false"),
  QUERN_WEBHOOK_RETRY_SECONDS: z.string().default(STANDARD_SCHEDULE).pipe(scheduleSchema),
  QUERN_RETENTION_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .default(24 * 3_600),
  ...fileStoreVariables,
  QUERN_DRAIN_GRACE_SECONDS: z.coerce.number().min(0).default(20),
  QUERN_LOG_FORMAT: z.enum(["pretty", "json"]).default("json"),
  QUERN_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
});
export type SchedulerEnv = z.infer<typeof envSchema>;

/** @throws QuernError `config_invalid` naming every variable at fault. */
export function readEnv(env: NodeJS.ProcessEnv = process.env): SchedulerEnv {
  return parseEnv(envSchema, env);
}

export interface SchedulerConfig {
  redisUrl: string;
  webhooks: {
    /** Sign for jobs that have no secret of their own: all of them, while one takes the place of the other. */
    tenantSecrets: string[];
    privateReceivers: "allowed" | "refused";
    /** Before each attempt, the first included. */
    retrySeconds: number[];
  };
  /** How long an expired job stays readable. */
  retentionSeconds: number;
  files: FileStoreConfig;
  drainGraceMs: number;
  log: { format: "pretty" | "json"; level: string };
  telemetry: boolean;
}

export function toConfig(env: SchedulerEnv): SchedulerConfig {
  return {
    redisUrl: env.REDIS_URL,
    webhooks: {
      tenantSecrets: env.QUERN_WEBHOOK_SECRET,
      privateReceivers: env.QUERN_WEBHOOK_ALLOW_PRIVATE === "true" ? "allowed" : "refused",
      retrySeconds: env.QUERN_WEBHOOK_RETRY_SECONDS,
    },
    retentionSeconds: env.QUERN_RETENTION_SECONDS,
    files: toFileStoreConfig(env),
    drainGraceMs: env.QUERN_DRAIN_GRACE_SECONDS * 1_000,
    log: { format: env.QUERN_LOG_FORMAT, level: env.QUERN_LOG_LEVEL },
    telemetry:
      env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT !== undefined,
  };
}
