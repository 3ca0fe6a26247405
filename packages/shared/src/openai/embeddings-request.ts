import { z } from "zod";
import type { EmbeddingRequest } from "../contract/embedding.ts";
import type { JobClass } from "../contract/job.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { classOfTier, serviceTier } from "./service-tier.ts";
import { refuseUnstorable } from "./unstorable.ts";
import { refuseTokenIds } from "./unsupported.ts";

const text = z.string().min(1, "must not be empty");
/** OpenAI's limit of inputs in one request. */
const MAX_INPUTS = 2_048;

/** The body of OpenAI's `POST /v1/embeddings`. https://platform.openai.com/docs/api-reference/embeddings/create */
export const embeddingsBodySchema = z.strictObject({
  model: z.string().min(1, "must not be empty"),
  input: z.union([text, z.array(text).min(1).max(MAX_INPUTS)], {
    error: `must be a text that is not empty, or an array of 1 to ${MAX_INPUTS} of them`,
  }),
  dimensions: z.int().positive().nullish(),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  /** As in chats. */
  service_tier: serviceTier,
  /** Accepted and without effect. */
  user: z.unknown().optional(),
});

export interface EmbeddingsRequest {
  model: string;
  class: JobClass;
  embedding: EmbeddingRequest;
}

/**
 * Translates an OpenAI embeddings body. null counts as absent.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseEmbeddingsRequest(input: unknown): EmbeddingsRequest {
  refuseTokenIds(input, "input");
  const body = parseOrRefuse(embeddingsBodySchema, input);
  refuseUnstorable(body);
  return {
    model: body.model,
    class: classOfTier(body.service_tier),
    embedding: {
      inputs: typeof body.input === "string" ? [body.input] : body.input,
      dimensions: body.dimensions ?? null,
      encoding: body.encoding_format ?? "float",
    },
  };
}
