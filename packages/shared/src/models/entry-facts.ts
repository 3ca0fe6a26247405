import { z } from "zod";
import { goodForSchema } from "./purposes.ts";
import { KNOWN_QUANTIZATIONS, quantizationName } from "./quantizations.ts";
import { QWEN_FAMILIES, type QwenFamily } from "./qwen-families.ts";

const samplingSchema = z.strictObject({
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().gt(0).max(1).optional(),
  topK: z.int().min(0).optional(),
  minP: z.number().min(0).max(1).optional(),
});

const contextTokens = z.int().min(64).max(16_777_216).nullable().optional();
const count = z.int().min(1);
/** YAML writes large numbers best as 7.6e9. */
const largeCount = z
  .number()
  .min(1)
  .max(1e15)
  .refine(Number.isInteger, "it must be a whole number, like 8.2e9");

const quantization = z
  .string()
  .transform(quantizationName)
  .refine(
    (name) => KNOWN_QUANTIZATIONS.includes(name),
    `it must be one of ${KNOWN_QUANTIZATIONS.join(", ")}`,
  );

const parameters = z.strictObject({ total: largeCount, active: largeCount.optional() });

/** What an entry may say of its model. What it leaves out is its family's, then a default (`complete-entry.ts`). */
export const factsSchema = {
  family: z.enum(Object.keys(QWEN_FAMILIES) as [QwenFamily, ...QwenFamily[]]).optional(),
  kind: z.enum(["chat", "embedding"]).optional(),
  thinking: z.enum(["optional", "always", "never"]).optional(),
  sampling: z
    .strictObject({ thinking: samplingSchema.optional(), plain: samplingSchema.optional() })
    .optional(),
  toolCalls: z.enum(["hermes", "xml", "none"]).optional(),
  fillInTheMiddle: z.boolean().optional(),
  nativeContextTokens: contextTokens,
  yarnContextTokens: contextTokens,
  parameters: parameters
    .refine(({ total, active = total }) => active <= total, "active can't be more than total")
    .optional(),
  attention: z.strictObject({ layers: count, kvHeads: count, headDim: count }).optional(),
  quantizations: z.array(quantization).optional(),
  fileBytes: z.record(quantization, largeCount).optional(),
  goodFor: goodForSchema.optional(),
};
