import { z } from "zod";
import type { Sampling } from "../contract/generation.ts";
import { type ModelSource, parseModelSource, SOURCE_FORMS } from "./model-source.ts";
import { QWEN_SAMPLING } from "./qwen-sampling.ts";

/** One model that Quern can serve. */
export interface CatalogueEntry {
  /** Its name in requests, queues and metrics: no braces, colons or slashes. */
  alias: string;
  /** Other names it answers to. */
  aliases: string[];
  source: ModelSource;
  /** Of the file, lower-case hex; null: not known, not checked. */
  sha256: string | null;
  /** Per slot, not in all. */
  contextTokens: number;
  slots: number;
  kvType: "f16" | "q8_0";
  /** Layers on the GPU, the output head being one; `auto`: as many as fit. */
  gpuLayers: number | "max" | "auto";
  flashAttention: "on" | "off" | "auto";
  /** CPU threads beyond which it only gets slower; null: no limit. */
  maxThreads: number | null;
  /** `optional`: the chat template reads `enable_thinking`. */
  thinking: "optional" | "always" | "never";
  /** For what a request leaves out, by the mode it runs in. */
  sampling: { thinking: Sampling; plain: Sampling };
}

/** Safe in Redis keys, BullMQ prefixes, file names and URLs alike. */
export const ALIAS = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What an entry has when neither it nor anyone else says otherwise. */
export const ENTRY_DEFAULTS = {
  contextTokens: 4_096,
  slots: 4,
  kvType: "f16",
  gpuLayers: "max",
  flashAttention: "auto",
  maxThreads: null,
  thinking: "optional",
  sampling: QWEN_SAMPLING,
} satisfies Partial<CatalogueEntry>;

const aliasSchema = z
  .string()
  .regex(ALIAS, "an alias is 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit");

const catalogueSamplingSchema = z.strictObject({
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().gt(0).max(1).optional(),
  topK: z.int().min(0).optional(),
  minP: z.number().min(0).max(1).optional(),
});

/** One value of `models:` in models.yaml; `docs/models.md` describes each field for people. */
function entrySchema(baseDir: string) {
  return z.strictObject({
    source: z.string().transform((text, context): ModelSource => {
      const source = parseModelSource(text, baseDir);
      if (source !== null) return source;
      context.addIssue({ code: "custom", message: `"${text}" is not a model source: give ${SOURCE_FORMS}` });
      return z.NEVER;
    }),
    aliases: z.array(aliasSchema).default([]),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, "a SHA-256 is 64 hexadecimal digits")
      .transform((digest) => digest.toLowerCase())
      .nullable()
      .default(null),
    contextTokens: z.int().min(64).max(1_048_576).default(ENTRY_DEFAULTS.contextTokens),
    slots: z.int().min(1).max(256).default(ENTRY_DEFAULTS.slots),
    kvType: z.enum(["f16", "q8_0"]).default(ENTRY_DEFAULTS.kvType),
    gpuLayers: z.union([z.int().min(0), z.enum(["max", "auto"])]).default(ENTRY_DEFAULTS.gpuLayers),
    flashAttention: z.enum(["on", "off", "auto"]).default(ENTRY_DEFAULTS.flashAttention),
    maxThreads: z.int().min(1).nullable().default(ENTRY_DEFAULTS.maxThreads),
    thinking: z.enum(["optional", "always", "never"]).default(ENTRY_DEFAULTS.thinking),
    sampling: z
      .strictObject({
        thinking: catalogueSamplingSchema.default(QWEN_SAMPLING.thinking),
        plain: catalogueSamplingSchema.default(QWEN_SAMPLING.plain),
      })
      .default(QWEN_SAMPLING),
  });
}

/** models.yaml as a whole. Relative paths in it are taken from `baseDir`. */
export function catalogueSchema(baseDir: string) {
  return z.strictObject({ models: z.record(aliasSchema, entrySchema(baseDir)) }).transform(({ models }) => ({
    entries: Object.entries(models).map(
      ([alias, entry]): CatalogueEntry => ({
        alias,
        ...entry,
        sampling: {
          thinking: withoutUndefined(entry.sampling.thinking),
          plain: withoutUndefined(entry.sampling.plain),
        },
      }),
    ),
  }));
}

function withoutUndefined(sampling: z.infer<typeof catalogueSamplingSchema>): Sampling {
  return Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined));
}
