import { leastPromptTokens, promptTooLong } from "@quern/shared/admission/prompt-bounds";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import { type KnownModel, workerToAsk } from "./known-models.ts";
import type { TokenCounter } from "./token-counter.ts";

/** What a chat template adds at most around short messages: a preamble for tools, role marks, an empty think block. */
const TEMPLATE_TOKENS = 512;
/** What it adds around each message at most. */
const MESSAGE_TOKENS = 32;

/**
 * Refuses a prompt that leaves no room for an answer. Where nobody can count, its attempt judges it.
 * @throws QuernError `context_length_exceeded`; `invalid_request` when the model's template refuses the messages.
 */
export async function refuseLongPrompt(
  request: GenerationRequest,
  known: KnownModel,
  tokenCounter: TokenCounter,
): Promise<void> {
  const { contextTokens, maxTokenBytes } = known.description;
  const least = leastPromptTokens(request, maxTokenBytes);
  if (least >= contextTokens) throw promptTooLong(request, `at least ${least}`, known.description);
  // A token stands for a byte or more, so a prompt of few bytes fits without counting.
  if (promptBytes(request) + TEMPLATE_TOKENS <= contextTokens) return;
  const worker = workerToAsk(known);
  if (worker === null) return;
  const promptTokens = await tokenCounter.countPrompt(worker.id, request);
  if (promptTokens !== null && promptTokens >= contextTokens)
    throw promptTooLong(request, `${promptTokens}`, known.description);
}

/** More than the bytes of the rendered prompt without its preamble; long texts are not written down for it. */
function promptBytes({ completion, messages, tools }: GenerationRequest): number {
  const calls = messages.flatMap(({ tool_calls = [] }) => tool_calls);
  const texts = [
    completion?.prompt ?? "",
    completion?.suffix ?? "",
    ...messages.flatMap(({ content, reasoning_content = "", name = "" }) => [
      content,
      reasoning_content,
      name,
    ]),
    JSON.stringify([tools, calls]),
  ];
  return bytesOf(texts) + MESSAGE_TOKENS * messages.length;
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
