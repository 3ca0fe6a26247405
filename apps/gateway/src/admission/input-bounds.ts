import {
  type EmbeddingRequest,
  inputsFit,
  refuseLongInputs as refuseLong,
} from "@quern/shared/contract/embedding";
import { type KnownModel, workerToAsk } from "./known-models.ts";
import type { TokenCounter } from "./token-counter.ts";

/** What a model puts around a text: a beginning and an end. */
const AROUND_TOKENS = 2;

/**
 * Refuses inputs that the model can't take. Where nobody can count, the attempt judges.
 * @throws QuernError `context_length_exceeded`, `invalid_request`.
 */
export async function refuseLongInputs(
  request: EmbeddingRequest,
  known: KnownModel,
  tokenCounter: TokenCounter,
): Promise<void> {
  const { contextTokens } = known.description;
  // A token stands for a byte or more, so a text of few bytes fits without counting.
  const mostTokens = request.inputs.map((text) => Buffer.byteLength(text) + AROUND_TOKENS);
  if (inputsFit(mostTokens, contextTokens)) return;
  const worker = workerToAsk(known);
  if (worker === null) return;
  const inputTokens = await tokenCounter.countInputs(worker.id, request);
  if (inputTokens !== null) refuseLong(inputTokens, contextTokens);
}
