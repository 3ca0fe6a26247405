import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest } from "../contract/generation.ts";

type PromptTexts = Pick<GenerationRequest, "completion" | "messages">;

/**
 * Tokens that a prompt has at least, without reading it: no token is longer than the longest of the model, and every message
 * takes one for its role. `maxTokenBytes` null: the longest is not known.
 */
export function leastPromptTokens(
  { completion, messages }: PromptTexts,
  maxTokenBytes: number | null,
): number {
  const texts =
    completion === null
      ? messages.map(({ content }) => content)
      : [completion.prompt, completion.suffix ?? ""];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return Math.max(messages.length, maxTokenBytes === null ? 0 : Math.ceil(bytes / maxTokenBytes));
}

/** The refusal of a prompt that leaves no room for an answer. @param tokens as people read it: `1234`, `more than 1000`. */
export function promptTooLong(
  { completion }: PromptTexts,
  tokens: string,
  { model, contextTokens }: { model: string; contextTokens: number },
): QuernError {
  return new QuernError(
    "context_length_exceeded",
    `the prompt has ${tokens} tokens; with at least one to answer, ${model} takes ${contextTokens - 1}. ` +
      "Shorten it, or serve the model with more context tokens",
    { param: completion === null ? "messages" : "prompt" },
  );
}
