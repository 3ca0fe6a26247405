import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { isServed, type KnownModel } from "./known-models.ts";
import type { TokenCounter } from "./token-counter.ts";

/** What a chat template adds at most around short messages: a preamble for tools, role marks, an empty think block. */
const TEMPLATE_TOKENS = 512;

/**
 * Refuses a prompt that leaves no room for an answer. Where nobody can count, its attempt judges it.
 * @throws QuernError `context_length_exceeded`; `invalid_request` when the model's template refuses the messages.
 */
export async function refuseLongPrompt(
  request: GenerationRequest,
  known: KnownModel,
  tokenCounter: TokenCounter,
): Promise<void> {
  const { contextTokens, model } = known.description;
  // A token stands for a byte or more, so a prompt of few bytes fits without counting.
  if (promptBytes(request) + TEMPLATE_TOKENS <= contextTokens || !isServed(known)) return;
  const promptTokens = await tokenCounter.countPrompt(model, request);
  if (promptTokens === null || promptTokens < contextTokens) return;
  throw new QuernError(
    "context_length_exceeded",
    `the prompt has ${promptTokens} tokens; with at least one to answer, ${model} takes ${contextTokens - 1}. ` +
      "Shorten it, or serve the model with more context tokens",
    { param: request.completion === null ? "messages" : "prompt" },
  );
}

function promptBytes({ completion, messages, tools }: GenerationRequest): number {
  return Buffer.byteLength(JSON.stringify([completion, messages, tools]));
}
