import { isEmbeddingRequest, type JobRequest } from "@quern/shared/contract/job";
import { refuseUnboundedAnswer } from "./answer-bounds.ts";
import { refuseUnboundedEmbedding } from "./embedding-bounds.ts";
import type { KnownModel, KnownModels } from "./known-models.ts";
import { refuseLongPrompt } from "./prompt-bounds.ts";
import type { TokenCounter } from "./token-counter.ts";
import { refuseTextOfEmbeddingModel } from "./writes-text.ts";

export interface Admission {
  knownModels: KnownModels;
  tokenCounter: TokenCounter;
}

/**
 * Accepts a request for a model or refuses it with a reason, before anything is queued.
 * @returns the model under its own name.
 * @throws QuernError `model_not_found`, `context_length_exceeded`, `invalid_request`.
 */
export async function admit(
  { knownModels, tokenCounter }: Admission,
  modelName: string,
  request: JobRequest,
): Promise<KnownModel> {
  const known = await knownModels.find(modelName);
  if (isEmbeddingRequest(request)) {
    await refuseUnboundedEmbedding(request, known, tokenCounter);
    return known;
  }
  refuseTextOfEmbeddingModel(known, await knownModels.list());
  refuseUnboundedAnswer(request, known.description);
  await refuseLongPrompt(request, known, tokenCounter);
  return known;
}
