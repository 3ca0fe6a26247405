import { z } from "zod";
import type { Sampling } from "../contract/generation.ts";
import { factsSchema } from "./entry-facts.ts";
import { modelSourceSchema } from "./entry-source.ts";
import type { AttentionShape, KvType } from "./memory-estimate.ts";
import type { ModelSource } from "./model-source.ts";
import type { GoodFor } from "./purposes.ts";
import type { QwenFamily } from "./qwen-families.ts";
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
  /** `embedding`: it gives vectors and no text. */
  kind: "chat" | "embedding";
  /** Which Qwen release it belongs to; null: none that Quern knows. */
  family: QwenFamily | null;
  /** Per slot, not in all. */
  contextTokens: number;
  slots: number;
  kvType: KvType;
  /** CPU threads beyond which it only gets slower; null: no limit. */
  maxThreads: number | null;
  /** `optional`: the chat template reads `enable_thinking`. */
  thinking: "optional" | "always" | "never";
  /** For what a request leaves out, by the mode it runs in. */
  sampling: { thinking: Sampling; plain: Sampling };
  /** How it writes a tool call: JSON or XML inside `<tool_call>`, or not at all. */
  toolCalls: "hermes" | "xml" | "none";
  /** Whether it was trained to fill the gap between a prefix and a suffix. */
  fillInTheMiddle: boolean;
  /** What it was trained for, and how far YaRN stretches that; null: not known. */
  nativeContextTokens: number | null;
  yarnContextTokens: number | null;
  /** Weights in all, and those that one token uses; equal for a dense model. null: not known. */
  parameters: { total: number; active: number } | null;
  /** null: not known. */
  attention: AttentionShape | null;
  /** What its source offers, in capitals. */
  quantizations: string[];
  /** All files of a quantization together, where it is known. */
  fileBytes: Record<string, number>;
  goodFor: GoodFor;
}

/** Safe in Redis keys, BullMQ prefixes, file names and URLs alike. */
export const ALIAS = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What an entry has when neither it, nor its family, nor anyone else says otherwise. */
export const ENTRY_DEFAULTS = {
  aliases: [],
  sha256: null,
  kind: "chat",
  family: null,
  contextTokens: 4_096,
  slots: 4,
  kvType: "f16",
  maxThreads: null,
  thinking: "optional",
  sampling: QWEN_SAMPLING,
  toolCalls: "hermes",
  fillInTheMiddle: false,
  nativeContextTokens: null,
  yarnContextTokens: null,
  parameters: null,
  attention: null,
  quantizations: [],
  fileBytes: {},
  goodFor: {},
} satisfies Partial<CatalogueEntry>;

const aliasSchema = z
  .string()
  .regex(ALIAS, "an alias is 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit");

/** One value of `models:` in models.yaml; `docs/models.md` describes each field for people. */
function entrySchema(baseDir: string) {
  return z.strictObject({
    source: modelSourceSchema(baseDir),
    aliases: z.array(aliasSchema).default(ENTRY_DEFAULTS.aliases),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, "a SHA-256 is 64 hexadecimal digits")
      .transform((digest) => digest.toLowerCase())
      .nullable()
      .default(ENTRY_DEFAULTS.sha256),
    contextTokens: z.int().min(64).max(1_048_576).default(ENTRY_DEFAULTS.contextTokens),
    slots: z.int().min(1).max(256).default(ENTRY_DEFAULTS.slots),
    kvType: z.enum(["f16", "q8_0"]).default(ENTRY_DEFAULTS.kvType),
    maxThreads: z.int().min(1).nullable().default(ENTRY_DEFAULTS.maxThreads),
    ...factsSchema,
  });
}

/** What an entry says itself. */
export type GivenEntry = z.output<ReturnType<typeof entrySchema>>;

/** models.yaml as a whole, as people wrote it. Relative paths in it are taken from `baseDir`. */
export function catalogueSchema(baseDir: string) {
  return z.strictObject({ models: z.record(aliasSchema, entrySchema(baseDir)) });
}
