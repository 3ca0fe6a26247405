import { availableParallelism } from "node:os";
import { join } from "node:path";
import { QuernError } from "@quern/shared/contract/errors";
import { defaultCatalogueFile } from "@quern/shared/models/catalogue";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import { defaultCacheDir } from "@quern/shared/models/model-files";
import { parseEnv } from "@quern/shared/process/env";
import { z } from "zod";
import type { EngineOptions } from "./engine/protocol.ts";

const envSchema = z.object({
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).default("redis://127.0.0.1:6379"),
  QUERN_MODEL: z.string().default("tiny-qwen3"),
  QUERN_MODELS_FILE: z.string().optional(),
  QUERN_MODEL_CACHE_DIR: z.string().optional(),
  XDG_CACHE_HOME: z.string().optional(),
  HF_ENDPOINT: z.url().optional(),
  HF_TOKEN: z.string().optional(),
  QUERN_SLOTS: z.coerce.number().int().min(1).max(512).optional(),
  QUERN_THREADS: z.coerce.number().int().min(1).max(512).optional(),
  QUERN_CORES: z.coerce.number().int().min(1).optional(),
  QUERN_CONTEXT_TOKENS: z.coerce.number().int().min(64).optional(),
  QUERN_ENGINE_DRIVER: z.enum(["batch", "sequence"]).default("batch"),
  QUERN_RETENTION_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .default(24 * 3_600),
  QUERN_DRAIN_GRACE_SECONDS: z.coerce.number().min(0).default(100),
  QUERN_LOG_FORMAT: z.enum(["pretty", "json"]).default("json"),
  QUERN_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
});
export type WorkerEnv = z.infer<typeof envSchema>;

/** @throws QuernError `config_invalid` naming every variable at fault. */
export function readEnv(env: NodeJS.ProcessEnv = process.env): WorkerEnv {
  return parseEnv(envSchema, env);
}

export interface WorkerConfig {
  redisUrl: string;
  model: {
    /** An alias of the catalogue, a path, or where to download from. */
    spec: string;
    catalogueFile: string;
    cacheDir: string;
    hfEndpoint: string | null;
    hfToken: string | null;
  };
  engine: {
    /** CPU threads; null: as many as there are cores and the catalogue allows. */
    threads: number | null;
    /** Of the machine's cores, those this worker may count as its own. */
    cores: number;
    /** null: what the catalogue says. */
    slots: number | null;
    contextTokens: number | null;
    driver: EngineOptions["driver"];
    /** Where the caches of declared system prompts are kept. */
    stateDir: string;
  };
  /** How long an ended job and its events stay readable. */
  retentionSeconds: number;
  drainGraceMs: number;
  log: { format: "pretty" | "json"; level: string };
  telemetry: boolean;
}

export function toConfig(env: WorkerEnv): WorkerConfig {
  const cacheDir = defaultCacheDir({
    QUERN_MODEL_CACHE_DIR: env.QUERN_MODEL_CACHE_DIR,
    XDG_CACHE_HOME: env.XDG_CACHE_HOME,
  });
  return {
    redisUrl: env.REDIS_URL,
    model: {
      spec: env.QUERN_MODEL,
      catalogueFile: env.QUERN_MODELS_FILE ?? defaultCatalogueFile(),
      cacheDir,
      hfEndpoint: env.HF_ENDPOINT ?? null,
      hfToken: env.HF_TOKEN ?? null,
    },
    engine: {
      threads: env.QUERN_THREADS ?? null,
      cores: env.QUERN_CORES ?? availableParallelism(),
      slots: env.QUERN_SLOTS ?? null,
      contextTokens: env.QUERN_CONTEXT_TOKENS ?? null,
      driver: env.QUERN_ENGINE_DRIVER,
      stateDir: join(cacheDir, "warm-prefixes"),
    },
    retentionSeconds: env.QUERN_RETENTION_SECONDS,
    drainGraceMs: env.QUERN_DRAIN_GRACE_SECONDS * 1_000,
    log: { format: env.QUERN_LOG_FORMAT, level: env.QUERN_LOG_LEVEL },
    telemetry:
      env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT !== undefined,
  };
}

/**
 * What the engine child is told: the catalogue's entry, changed where the configuration says so.
 * @throws QuernError `config_invalid` when more context is asked for than the model was trained for: llama.cpp would
 * accept it silently, and answer nonsense past that point.
 */
export function engineOptions(
  engine: WorkerConfig["engine"],
  telemetry: boolean,
  entry: CatalogueEntry,
  modelPath: string,
  trainedContextTokens: number | null,
): EngineOptions {
  const limit = trainedContextTokens ?? Number.POSITIVE_INFINITY;
  if (engine.contextTokens !== null && engine.contextTokens > limit) {
    throw new QuernError(
      "config_invalid",
      `${entry.alias} was trained for ${limit} context tokens, QUERN_CONTEXT_TOKENS asks for ${engine.contextTokens}`,
    );
  }
  const { kvType, thinking, sampling, toolCalls, prefixSharing, systemPrompts } = entry;
  const slots = engine.slots ?? entry.slots;
  const contextTokens = engine.contextTokens ?? Math.min(entry.contextTokens, limit);
  const threads = engine.threads ?? Math.min(engine.cores, entry.maxThreads ?? engine.cores);
  const model = { modelPath, kvType, thinking, sampling, toolCalls, prefixSharing, systemPrompts };
  return {
    ...model,
    slots,
    contextTokens,
    threads,
    driver: engine.driver,
    stateDir: engine.stateDir,
    telemetry,
  };
}
