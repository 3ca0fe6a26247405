import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { refuseUnboundedAnswer } from "./answer-bounds.ts";
import { isServed, type KnownModel, type KnownModels } from "./known-models.ts";
import type { TokenCounter } from "./token-counter.ts";

/** What a chat template adds at most around short messages: a preamble for tools, role marks, an empty think block. */
const TEMPLATE_TOKENS = 512;

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
  request: GenerationRequest,
): Promise<KnownModel> {
  const known = await knownModels.find(modelName);
  const { contextTokens, model } = known.description;
  refuseUnboundedAnswer(request, known.description);
  // A token stands for a byte or more, so a prompt of few bytes fits without counting.
  if (promptBytes(request) + TEMPLATE_TOKENS <= contextTokens || !isServed(known)) return known;
  const promptTokens = await tokenCounter.count(model, request);
  if (promptTokens !== null && promptTokens >= contextTokens) {
    throw new QuernError(
      "context_length_exceeded",
      `the prompt has ${promptTokens} tokens; with at least one to answer, ${model} takes ${contextTokens - 1}. ` +
        "Shorten the messages, or serve the model with more context tokens",
      { param: "messages" },
    );
  }
  return known;
}

function promptBytes({ messages, tools }: GenerationRequest): number {
  return Buffer.byteLength(JSON.stringify([messages, tools]));
}
