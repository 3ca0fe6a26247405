import { z } from "zod";
import type { GenerationRequest, Sampling } from "../contract/generation.ts";

/** Fields that all endpoints have which write text, and what they mean. */

export const nonEmpty = z.string().min(1, "must not be empty");
export const accepted = z.unknown().optional();

/** llama.cpp's token ids are 32-bit integers; whether the model has this one, its engine knows. */
const tokenId = z
  .string()
  .regex(/^(?:0|[1-9]\d*)$/)
  .refine((id) => Number(id) < 2 ** 31);
const MAX_LOGIT_BIASES = 300;
const logitBias = z
  .record(tokenId, z.number().min(-100).max(100), {
    error: (issue) => (issue.code === "invalid_key" ? "must be the id of a token" : undefined),
  })
  .refine((biases) => Object.keys(biases).length <= MAX_LOGIT_BIASES, `at most ${MAX_LOGIT_BIASES} tokens`);

export const textFields = {
  max_tokens: z.int().positive().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().gt(0).max(2).nullish(),
  logit_bias: logitBias.nullish(),
  seed: z.int().nullish(),
  n: z.int().min(1).max(16).nullish(),
  stop: z
    .union([nonEmpty, z.array(nonEmpty).max(16)], {
      error: "must be a string that is not empty, or an array of at most 16 of them",
    })
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish(), include_obfuscation: accepted }).nullish(),
};
type TextBody = z.infer<z.ZodObject<typeof textFields>>;

/** Called when the caller gave no seed: a second attempt must sample like the first. */
export type DrawSeed = () => number;

export function textRequestOf(
  body: TextBody,
  drawSeed: DrawSeed,
): Pick<GenerationRequest, "sampling" | "seed" | "stop" | "logitBias" | "choices"> {
  return {
    sampling: samplingOf(body),
    seed: body.seed === null || body.seed === undefined ? drawSeed() : Math.abs(body.seed),
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    logitBias: Object.entries(body.logit_bias ?? {}).map(([id, bias]) => ({ token: Number(id), bias })),
    choices: body.n ?? 1,
  };
}

export interface StreamWish {
  stream: boolean;
  /** A last chunk with the usage, when streaming. */
  includeUsage: boolean;
}

export function streamWishOf(body: TextBody): StreamWish {
  return { stream: body.stream ?? false, includeUsage: body.stream_options?.include_usage ?? false };
}

function samplingOf(body: TextBody): Sampling {
  const given = {
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k,
    minP: body.min_p,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    repetitionPenalty: body.repetition_penalty,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === "number"));
}
