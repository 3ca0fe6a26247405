import { defaultCatalogueFile } from "@quern/shared/models/catalogue";
import { HF_ENDPOINT } from "@quern/shared/models/download";
import { defaultCacheDir } from "@quern/shared/models/model-files";
import { parseEnv } from "@quern/shared/process/env";
import { z } from "zod";
import type { ModelsSettings } from "./models/models-command.ts";
import type { Server } from "./server/call.ts";

const envSchema = z.looseObject({
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  QUERN_MODELS_FILE: z.string().optional(),
  QUERN_MODEL_CACHE_DIR: z.string().optional(),
  XDG_CACHE_HOME: z.string().optional(),
  HF_ENDPOINT: z.url().default(HF_ENDPOINT),
  HF_TOKEN: z.string().optional(),
  QUERN_URL: z.url({ protocol: /^https?$/ }).default("http://127.0.0.1:8080"),
  QUERN_API_KEY: z.string().optional(),
  QUERN_LOG_FORMAT: z.enum(["pretty", "json"]).default("pretty"),
});
export type CliEnv = z.infer<typeof envSchema>;

/** @throws QuernError `config_invalid` naming every variable at fault. */
export function readEnv(env: NodeJS.ProcessEnv = process.env): CliEnv {
  return parseEnv(envSchema, env);
}

export interface CliConfig {
  /** null: a private Redis. */
  redisUrl: string | null;
  models: ModelsSettings;
  /** The gateway that commands ask. */
  server: Server;
  /** What every process started from here inherits. */
  childEnv: NodeJS.ProcessEnv;
}

export function toConfig(env: CliEnv): CliConfig {
  const { REDIS_URL, QUERN_MODELS_FILE, QUERN_MODEL_CACHE_DIR, XDG_CACHE_HOME, HF_TOKEN } = env;
  return {
    redisUrl: REDIS_URL ?? null,
    models: {
      modelsFile: QUERN_MODELS_FILE ?? defaultCatalogueFile(),
      cacheDir: defaultCacheDir({ QUERN_MODEL_CACHE_DIR, XDG_CACHE_HOME }),
      hfEndpoint: env.HF_ENDPOINT,
      hfToken: HF_TOKEN ?? null,
    },
    server: { url: env.QUERN_URL.replace(/\/+$/, ""), apiKey: env.QUERN_API_KEY ?? null },
    childEnv: { ...(env as NodeJS.ProcessEnv), QUERN_LOG_FORMAT: env.QUERN_LOG_FORMAT },
  };
}
