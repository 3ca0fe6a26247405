import { QuernError } from "@quern/shared/contract/errors";
import type { PromptRequest } from "../protocol/prepare-messages.ts";

/** A prompt's tokens are counted to the end up to this many contexts; of a longer one it is enough that it is too long. */
const COUNTED_CONTEXTS = 4;

export function mostCountedTokens(contextTokens: number): number {
  return COUNTED_CONTEXTS * contextTokens;
}

/**
 * Refuses a prompt that is certainly far too long, before it is rendered: by its bytes and the number of its messages.
 * @throws QuernError `context_length_exceeded`.
 */
export function refuseHopelessPrompt(
  request: PromptRequest,
  { contextTokens, maxTokenBytes }: { contextTokens: number; maxTokenBytes: number },
): void {
  const { completion, messages } = request;
  const texts =
    completion === null
      ? messages.map(({ content }) => content)
      : [completion.prompt, completion.suffix ?? ""];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  // A message takes a token at least: its role.
  const atLeast = Math.max(Math.ceil(bytes / maxTokenBytes), messages.length);
  if (atLeast > mostCountedTokens(contextTokens))
    throw tooLong(request, { moreThan: atLeast - 1 }, contextTokens);
}

/** Whether a request's prompt leaves room for a token to answer. @throws QuernError `context_length_exceeded`. */
export function refuseLongPrompt(
  request: PromptRequest,
  { promptTokens, isWhole }: { promptTokens: number; isWhole: boolean },
  contextTokens: number,
): void {
  if (!isWhole) throw tooLong(request, { moreThan: promptTokens }, contextTokens);
  if (promptTokens >= contextTokens) throw tooLong(request, { exactly: promptTokens }, contextTokens);
}

function tooLong(
  { completion }: PromptRequest,
  tokens: { exactly: number } | { moreThan: number },
  contextTokens: number,
): QuernError {
  const count = "exactly" in tokens ? `${tokens.exactly}` : `more than ${tokens.moreThan}`;
  return new QuernError(
    "context_length_exceeded",
    `the prompt has ${count} tokens; with at least one to answer, this model takes ${contextTokens - 1}. ` +
      "Shorten it, or serve the model with more context tokens",
    { param: completion === null ? "messages" : "prompt" },
  );
}
