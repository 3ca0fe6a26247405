import { refuseUnbounded } from "@quern/shared/admission/request-bounds";
import { isEmbeddingRequest, type JobRequest } from "@quern/shared/contract/job";
import { refuseLongInputs } from "./input-bounds.ts";
import type { KnownModel, KnownModels } from "./known-models.ts";
import { refuseLongPrompt } from "./prompt-bounds.ts";
import type { TokenCounter } from "./token-counter.ts";

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
  const served = (await knownModels.list()).map(({ description }) => description);
  refuseUnbounded(request, known.description, served);
  if (isEmbeddingRequest(request)) await refuseLongInputs(request, known, tokenCounter);
  else await refuseLongPrompt(request, known, tokenCounter);
  return known;
}
