import { QuernError } from "@quern/shared/contract/errors";
import { webhookSecretListSchema } from "@quern/shared/contract/webhook";
import {
  type FileStoreConfig,
  fileStoreVariables,
  toFileStoreConfig,
} from "@quern/shared/files/file-store-config";
import { defaultCatalogueFile } from "@quern/shared/models/catalogue";
import { parseEnv } from "@quern/shared/process/env";
import { type Retention, retentionVariables, toRetention } from "@quern/shared/process/retention";
import { z } from "zod";
import type { WebhookRules } from "./admission/admit-webhook.ts";
import { isHostName, isLoopbackName } from "./http/host-names.ts";
import type { HostPolicy } from "./http/web-page-guard.ts";

const envSchema = z.object({
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).default("redis://127.0.0.1:6379"),
  QUERN_HOST: z.string().default("127.0.0.1"),
  QUERN_PORT: z.coerce.number().int().min(0).max(65_535).default(8_080),
  QUERN_ALLOW_UNAUTHENTICATED: z.enum(["container"]).optional(),
  QUERN_ALLOWED_HOSTS: z
    .string()
    .transform((text) => text.split(",").map((name) => name.trim().toLowerCase()))
    .refine((names) => names.every(isHostName), "names of hosts, divided by commas, without scheme and port")
    .default([]),
  QUERN_MAX_BODY_BYTES: z.coerce
    .number()
    .int()
    .min(1_024)
    .default(10 * 2 ** 20),
  QUERN_BODY_TIMEOUT_SECONDS: z.coerce.number().min(1).max(600).default(60),
  QUERN_MAX_FILE_BYTES: z.coerce
    .number()
    .int()
    .min(1_024)
    .default(200 * 2 ** 20),
  ...fileStoreVariables,
  QUERN_MODELS_FILE: z.string().optional(),
  ...retentionVariables,
  // A day at least, which is what callers of other APIs count on.
  QUERN_IDEMPOTENCY_SECONDS: z.coerce.number().int().min(86_400).default(86_400),
  QUERN_BATCH_DEDUPE: z.enum(["on", "off"]).default("off"),
  QUERN_WEBHOOK_SECRET: webhookSecretListSchema.optional(),
  QUERN_WEBHOOK_ALLOW_PRIVATE: z.enum(["true", "false"]).default("false"),
  QUERN_DRAIN_GRACE_SECONDS: z.coerce.number().min(0).max(86_400).default(100),
  QUERN_LOG_FORMAT: z.enum(["pretty", "json"]).default("json"),
  QUERN_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
});
export type GatewayEnv = z.infer<typeof envSchema>;

/** @throws QuernError `config_invalid` naming every variable at fault. */
export function readEnv(env: NodeJS.ProcessEnv = process.env): GatewayEnv {
  return parseEnv(envSchema, env);
}

export interface GatewayConfig {
  redisUrl: string;
  listen: { host: string; port: number };
  http: {
    maxBodyBytes: number;
    /** How long a JSON body may take, and how long a caller may be silent in the middle of a file. */
    bodyTimeoutMs: number;
    /** By which names requests may call it: a stranger's web page must not reach an open gateway. */
    hosts: HostPolicy;
  };
  files: { store: FileStoreConfig; maxBytes: number };
  catalogueFile: string;
  /** Of the jobs that are submitted here. */
  retention: Retention;
  /** How long an Idempotency-Key is kept: at least as long as the job that it stands for. */
  idempotencySeconds: number;
  /** Whether identical lines of a batch that does not say so itself are computed once. */
  batchDedupe: boolean;
  webhookRules: WebhookRules;
  /** How long answers that are being waited for may take once the gateway is told to stop. */
  drainGraceMs: number;
  log: { format: "pretty" | "json"; level: string };
  telemetry: boolean;
}

/** @throws QuernError `config_invalid` when it would serve strangers without API keys. */
export function toConfig(env: GatewayEnv): GatewayConfig {
  const reachedFrom = env.QUERN_ALLOW_UNAUTHENTICATED ?? "loopback";
  if (reachedFrom === "loopback" && !isLoopbackName(env.QUERN_HOST)) {
    throw new QuernError(
      "config_invalid",
      `the gateway has no API keys, so it serves this machine only and does not listen on ${env.QUERN_HOST}: ` +
        "use 127.0.0.1 and put an authenticating proxy in front of it",
    );
  }
  const retention = toRetention(env);
  return {
    redisUrl: env.REDIS_URL,
    listen: { host: env.QUERN_HOST, port: env.QUERN_PORT },
    http: {
      maxBodyBytes: env.QUERN_MAX_BODY_BYTES,
      bodyTimeoutMs: env.QUERN_BODY_TIMEOUT_SECONDS * 1_000,
      hosts: { allowedHosts: new Set(env.QUERN_ALLOWED_HOSTS), reachedFrom },
    },
    files: { store: toFileStoreConfig(env), maxBytes: env.QUERN_MAX_FILE_BYTES },
    catalogueFile: env.QUERN_MODELS_FILE ?? defaultCatalogueFile(),
    retention,
    idempotencySeconds: Math.max(env.QUERN_IDEMPOTENCY_SECONDS, ...Object.values(retention.jobSeconds)),
    batchDedupe: env.QUERN_BATCH_DEDUPE === "on",
    webhookRules: {
      tenantSecrets: env.QUERN_WEBHOOK_SECRET === undefined ? "none" : "set",
      privateReceivers: env.QUERN_WEBHOOK_ALLOW_PRIVATE === "true" ? "allowed" : "refused",
    },
    drainGraceMs: env.QUERN_DRAIN_GRACE_SECONDS * 1_000,
    log: { format: env.QUERN_LOG_FORMAT, level: env.QUERN_LOG_LEVEL },
    telemetry:
      env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT !== undefined,
  };
}
