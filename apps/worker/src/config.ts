import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defaultCatalogueFile } from "@quern/shared/models/catalogue";
import { GPU_CHOICE, GPU_FORMS } from "@quern/shared/models/gpu-choice";
import { MAX_SLOTS } from "@quern/shared/models/kv-cache";
import type { LoraAdapter } from "@quern/shared/models/lora-adapter";
import { defaultCacheDir } from "@quern/shared/models/model-files";
import { parseEnv } from "@quern/shared/process/env";
import { retentionVariables } from "@quern/shared/process/retention";
import { z } from "zod";
import type { EngineSettings } from "./model-options.ts";
import { type ChildSettings, DEFAULT_LOAD_TIMEOUT_MS } from "./supervise/engine-process.ts";
import { pinGpu } from "./supervise/pin-gpu.ts";
import { DEFAULT_STEP_TIMEOUT_MS } from "./supervise/watchdog.ts";

const layersSchema = z.union([z.enum(["max", "auto"]), z.coerce.number().int().min(0)], {
  error: "max, auto, or how many layers",
});

const envSchema = z.object({
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).default("redis://127.0.0.1:6379"),
  QUERN_MODEL: z.string().default("tiny-qwen3"),
  QUERN_MODELS_FILE: z.string().optional(),
  QUERN_MODEL_CACHE_DIR: z.string().optional(),
  XDG_CACHE_HOME: z.string().optional(),
  HF_ENDPOINT: z.url().optional(),
  HF_TOKEN: z.string().optional(),
  QUERN_SLOTS: z.coerce.number().int().min(1).max(MAX_SLOTS).optional(),
  QUERN_THREADS: z.coerce.number().int().min(1).max(512).optional(),
  QUERN_CORES: z.coerce.number().int().min(1).optional(),
  QUERN_CONTEXT_TOKENS: z.coerce.number().int().min(64).optional(),
  QUERN_ENGINE_DRIVER: z.enum(["batch", "sequence"]).default("batch"),
  QUERN_GPU: z.string().regex(GPU_CHOICE, GPU_FORMS).optional(),
  QUERN_GPU_LAYERS: layersSchema.optional(),
  QUERN_FLASH_ATTENTION: z.enum(["on", "off", "auto"]).optional(),
  QUERN_KV_TYPE: z.enum(["f16", "q8_0"]).optional(),
  QUERN_LORAS: z.string().transform(toLoras).optional(),
  QUERN_LOAD_TIMEOUT_SECONDS: z.coerce
    .number()
    .min(1)
    .max(86_400)
    .default(DEFAULT_LOAD_TIMEOUT_MS / 1_000),
  QUERN_STEP_TIMEOUT_SECONDS: z.coerce
    .number()
    .min(1)
    .max(3_600)
    .default(DEFAULT_STEP_TIMEOUT_MS / 1_000),
  /** `scripted` needs no weights: it answers with fixed words, for tests and benchmarks of everything else. */
  QUERN_ENGINE: z.enum(["llama", "scripted"]).default("llama"),
  QUERN_RESERVED_SLOTS: z.coerce
    .number()
    .int()
    .min(0)
    .max(MAX_SLOTS - 1)
    .optional(),
  QUERN_LEASE_SECONDS: z.coerce.number().min(2).max(3_600).default(30),
  QUERN_RETENTION_SECONDS: retentionVariables.QUERN_RETENTION_SECONDS,
  QUERN_DRAIN_GRACE_SECONDS: z.coerce.number().min(0).default(100),
  QUERN_LOG_FORMAT: z.enum(["pretty", "json"]).default("json"),
  QUERN_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: z.string().optional(),
});
export type WorkerEnv = z.infer<typeof envSchema> & {
  /** All of it, for the engine child. */
  inherited: NodeJS.ProcessEnv;
};

/** @throws QuernError `config_invalid` naming every variable at fault. */
export function readEnv(env: NodeJS.ProcessEnv = process.env): WorkerEnv {
  return { ...parseEnv(envSchema, env), inherited: env };
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
  engine: EngineSettings;
  child: ChildSettings;
  /** How long a worker that vanished keeps its jobs. */
  leaseMs: number;
  /** How long an ended job and its events stay readable, where the job itself does not say. */
  retentionSeconds: number;
  drainGraceMs: number;
  log: { format: "pretty" | "json"; level: string };
  telemetry: boolean;
  /** Off where there is an endpoint for traces alone: the exporter would take one that nobody named. */
  metrics: "exported" | "off";
}

/** @throws QuernError `config_invalid` for a GPU that the environment hides. */
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
      reservedSlots: env.QUERN_RESERVED_SLOTS ?? null,
      contextTokens: env.QUERN_CONTEXT_TOKENS ?? null,
      driver: env.QUERN_ENGINE_DRIVER,
      stateDir: join(cacheDir, "warm-prefixes"),
      kvType: env.QUERN_KV_TYPE ?? null,
      flashAttention: env.QUERN_FLASH_ATTENTION ?? null,
      gpuLayers: env.QUERN_GPU_LAYERS ?? null,
      gpu: env.QUERN_GPU ?? null,
      loras: env.QUERN_LORAS ?? null,
    },
    child: {
      environment: pinGpu(env.QUERN_GPU ?? null, env.inherited),
      loadTimeoutMs: env.QUERN_LOAD_TIMEOUT_SECONDS * 1_000,
      stepTimeoutMs: env.QUERN_STEP_TIMEOUT_SECONDS * 1_000,
      engine: env.QUERN_ENGINE,
    },
    leaseMs: env.QUERN_LEASE_SECONDS * 1_000,
    retentionSeconds: env.QUERN_RETENTION_SECONDS,
    drainGraceMs: env.QUERN_DRAIN_GRACE_SECONDS * 1_000,
    log: { format: env.QUERN_LOG_FORMAT, level: env.QUERN_LOG_LEVEL },
    telemetry:
      env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT !== undefined,
    metrics:
      env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT !== undefined
        ? "exported"
        : "off",
  };
}

/** `a.gguf,b.gguf=0.5`: paths, each with its scale where that is not 1. */
function toLoras(text: string): LoraAdapter[] {
  return text.split(",").map((part) => {
    const [, path = part, scale = "1"] = /^(.*)=(-?\d+(?:\.\d+)?)$/.exec(part) ?? [];
    return { path, scale: Number(scale) };
  });
}
