import { z } from "zod";
import { QuernError } from "./errors.ts";

/** Texts to be made vectors of. */
export const embeddingRequestSchema = z.object({
  /** At least one, in the order of the answer. */
  inputs: z.array(z.string()).min(1),
  /** How many numbers each vector is cut to; null: all that the model gives. */
  dimensions: z.int().positive().nullable(),
  /** How the caller wants to read the vectors. */
  encoding: z.enum(["float", "base64"]),
});
export type EmbeddingRequest = z.infer<typeof embeddingRequestSchema>;

export const embeddingResultSchema = z.object({
  /** One for each input, of length 1: 32-bit floats, the low byte first, in base64. JSON numbers would take four times as much. */
  vectors: z.array(z.string()),
  /** The request's, which a job's summary is read without. */
  encoding: embeddingRequestSchema.shape.encoding,
});
export type EmbeddingResult = z.infer<typeof embeddingResultSchema>;

/** Numbers in all vectors of one job: 11 MB as a record holds them, and 2,048 inputs at 1,024 dimensions. */
const MAX_NUMBERS = 2 ** 21;
/** Of all inputs of one job together: OpenAI's limit. */
const MAX_TOKENS = 300_000;

/**
 * Refuses vectors that the model does not have, or that a record could not hold.
 * @throws QuernError `invalid_request` with the limit.
 */
export function refuseUnboundedVectors(
  { inputs, dimensions }: { inputs: readonly unknown[] } & Pick<EmbeddingRequest, "dimensions">,
  modelDimensions: number,
): void {
  if (dimensions !== null && dimensions > modelDimensions) {
    throw new QuernError(
      "invalid_request",
      `dimensions is ${dimensions}; the vectors of this model have ${modelDimensions}`,
      { param: "dimensions" },
    );
  }
  const each = dimensions ?? modelDimensions;
  if (inputs.length * each <= MAX_NUMBERS) return;
  throw new QuernError(
    "invalid_request",
    `${inputs.length} vectors of ${each} numbers are more than one request may ask for (${MAX_NUMBERS} numbers): ` +
      `send at most ${Math.floor(MAX_NUMBERS / each)} inputs at a time, or ask for fewer dimensions`,
    { param: "input" },
  );
}

/** Whether inputs of so many tokens each are within all bounds. */
export function inputsFit(inputTokens: readonly number[], contextTokens: number): boolean {
  return inputTokens.every((tokens) => tokens <= contextTokens) && sumOf(inputTokens) <= MAX_TOKENS;
}

/**
 * Refuses inputs that don't fit: each has the context for itself.
 * @throws QuernError `context_length_exceeded` that names the first input at fault, `invalid_request`.
 */
export function refuseLongInputs(inputTokens: readonly number[], contextTokens: number): void {
  const index = inputTokens.findIndex((tokens) => tokens > contextTokens);
  if (index !== -1) {
    throw new QuernError(
      "context_length_exceeded",
      `input ${index} has ${inputTokens[index]} tokens; this model takes ${contextTokens} for each. ` +
        "Cut it into pieces, or serve the model with more context tokens",
      { param: `input[${index}]` },
    );
  }
  const total = sumOf(inputTokens);
  if (total <= MAX_TOKENS) return;
  throw new QuernError(
    "invalid_request",
    `the inputs have ${total} tokens together; one request takes ${MAX_TOKENS}: send them in several`,
    { param: "input" },
  );
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
