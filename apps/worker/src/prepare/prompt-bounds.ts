import { leastPromptTokens, promptTooLong } from "@quern/shared/admission/prompt-bounds";
import type { PromptRequest } from "../protocol/prepare-messages.ts";

/** A prompt's tokens are counted to the end up to this many contexts; of a longer one it is enough that it is too long. */
const COUNTED_CONTEXTS = 4;
const THIS_MODEL = "this model";

export function mostCountedTokens(contextTokens: number): number {
  return COUNTED_CONTEXTS * contextTokens;
}

/**
 * Refuses a prompt that is certainly far too long, before it is rendered.
 * @throws QuernError `context_length_exceeded`.
 */
export function refuseHopelessPrompt(
  request: PromptRequest,
  { contextTokens, maxTokenBytes }: { contextTokens: number; maxTokenBytes: number },
): void {
  const least = leastPromptTokens(request, maxTokenBytes);
  if (least <= mostCountedTokens(contextTokens)) return;
  throw promptTooLong(request, `more than ${least - 1}`, { model: THIS_MODEL, contextTokens });
}

/**
 * Refuses a prompt that leaves no room for a token to answer. `isWhole` false: it has more tokens than were read.
 * @throws QuernError `context_length_exceeded`.
 */
export function refuseLongPrompt(
  request: PromptRequest,
  { promptTokens, isWhole }: { promptTokens: number; isWhole: boolean },
  contextTokens: number,
): void {
  if (isWhole && promptTokens < contextTokens) return;
  const tokens = isWhole ? `${promptTokens}` : `more than ${promptTokens}`;
  throw promptTooLong(request, tokens, { model: THIS_MODEL, contextTokens });
}
