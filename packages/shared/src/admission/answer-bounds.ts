import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest } from "../contract/generation.ts";
import type { ModelDescription } from "../contract/worker.ts";

/**
 * Log-probabilities of one job. Each takes about 70 bytes of JSON, twice in Redis (events and result), where no value
 * may grow beyond 512 MB and none should come near it.
 */
const MAX_LOGPROBS = 2 ** 20;

type AskedFor = Pick<GenerationRequest, "maxTokens" | "choices" | "topLogprobs">;

/**
 * Refuses an answer that could not be given. Every choice has a slot's whole context for itself, so `max_tokens` is held
 * against that, whatever `n` is; log-probabilities are kept for all choices together.
 * @throws QuernError `invalid_request` with both numbers.
 */
export function refuseUnboundedAnswer(
  { maxTokens, choices, topLogprobs }: AskedFor,
  { model, contextTokens }: Pick<ModelDescription, "model" | "contextTokens">,
): void {
  if (maxTokens !== null && maxTokens > contextTokens) {
    throw new QuernError(
      "invalid_request",
      `max_tokens is ${maxTokens}, but ${model} has ${contextTokens} context tokens for prompt and answer together`,
      { param: "max_tokens" },
    );
  }
  if (topLogprobs === null) return;
  const logprobs = choices * (maxTokens ?? contextTokens) * (1 + topLogprobs);
  if (logprobs > MAX_LOGPROBS) {
    throw new QuernError(
      "invalid_request",
      `n × max_tokens × (1 + top_logprobs) can come to ${logprobs} log-probabilities; the limit is ${MAX_LOGPROBS}. ` +
        `Lower one of them (max_tokens is ${contextTokens} unless given)`,
      { param: "logprobs" },
    );
  }
}
