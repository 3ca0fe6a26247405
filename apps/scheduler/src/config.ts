import { webhookSecretListSchema } from "@quern/shared/contract/webhook";
import {
  type FileStoreConfig,
  fileStoreVariables,
  toFileStoreConfig,
} from "@quern/shared/files/file-store-config";
import { parseEnv } from "@quern/shared/process/env";
import { z } from "zod";

/** Weights that a million lines can't tell from none, or from all, are a slip. */
const weightSchema = z.number("must be numbers").min(0.01).max(1_000);

/** `acme=2,other=0.5`. */
const weightsSchema = z.string().transform((list, context) => {
  const weights = new Map<string, number>();
  for (const entry of list.split(",")) {
    const [, tenant, weight] = /^\s*(.+?)\s*=\s*([^\s=]+)\s*$/.exec(entry) ?? [];
    const parsed = weightSchema.safeParse(Number(weight));
    if (tenant === undefined || !parsed.success) {
      const message = `must be tenants and weights from 0.01 to 1000, as in acme=2,other=0.5, not '${entry}'`;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
    weights.set(tenant, parsed.data);
  }
  return weights;
});

/**
 * Seconds before each attempt at a webhook, the first included
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability).
 */
const STANDARD_SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400";

const scheduleSchema = z
  .string()
  .transform((list) => list.split(",").map(Number))
  .pipe(z.array(z.number("must be seconds, separated by commas").min(0).max(86_400)).min(1).max(50));

/** One bit of a Redis string is kept for each, of which there are 2^32; a scheduler has some bytes for each while it reads them. */
const MOST_LINES = 100_000_000;
/** Of a line that is read whole. */
const MOST_LINE_BYTES = 256 * 2 ** 20;

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
  QUERN_BATCH_MAX_LINES: z.coerce.number().int().min(1).max(MOST_LINES).default(50_000),
  QUERN_BATCH_MAX_LINE_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST_LINE_BYTES)
    .default(10 * 2 ** 20),
  QUERN_BATCH_MODEL_WAIT_SECONDS: z.coerce.number().int().min(0).default(60),
  QUERN_BATCH_RECORD_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .default(30 * 86_400),
  QUERN_TENANT_WEIGHTS: weightsSchema.optional(),
  QUERN_BATCH_LOOKAHEAD_LINES: z.coerce.number().int().min(1).max(10_000).default(1_000),
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
  batches: {
    limits: { maxLines: number; maxLineBytes: number };
    /** How long after the first worker has come another one may still bring the model that a batch asks for. */
    modelWaitMs: number;
    /** How long a batch that is over stays readable. */
    recordSeconds: number;
  };
  feeding: {
    /** What a tenant gets of a model when others want it too; 1 for those that are not named. */
    tenantWeights: ReadonlyMap<string, number>;
    /** Within so many lines a batch is put in order; 1: as given. */
    lookaheadLines: number;
  };
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
    batches: {
      limits: { maxLines: env.QUERN_BATCH_MAX_LINES, maxLineBytes: env.QUERN_BATCH_MAX_LINE_BYTES },
      modelWaitMs: env.QUERN_BATCH_MODEL_WAIT_SECONDS * 1_000,
      recordSeconds: env.QUERN_BATCH_RECORD_SECONDS,
    },
    feeding: {
      tenantWeights: env.QUERN_TENANT_WEIGHTS ?? new Map(),
      lookaheadLines: env.QUERN_BATCH_LOOKAHEAD_LINES,
    },
    files: toFileStoreConfig(env),
    drainGraceMs: env.QUERN_DRAIN_GRACE_SECONDS * 1_000,
    log: { format: env.QUERN_LOG_FORMAT, level: env.QUERN_LOG_LEVEL },
    telemetry:
      env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT !== undefined,
  };
}
