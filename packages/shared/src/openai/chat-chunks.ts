import type { JobClass } from "../contract/job.ts";
import { type AnswerChunk, AnswerChunks, type AnswerChunksOptions, type ChunkForm } from "./answer-chunks.ts";
import { type ChatLogprobs, toChatLogprobs } from "./chat-logprobs.ts";
import { chatCompletionId } from "./chat-response.ts";
import type { NewPart } from "./sent-choice.ts";
import { tierOfClass } from "./service-tier.ts";

const OBJECT = "chat.completion.chunk";

interface ChatChunkChoice {
  index: number;
  delta: object;
  logprobs: ChatLogprobs | null;
  finish_reason: string | null;
}
export type ChatChunk = AnswerChunk<ChatChunkChoice, typeof OBJECT>;

/** The chunks of one chat stream. */
export function chatChunks(
  options: AnswerChunksOptions & { class: JobClass },
): AnswerChunks<ChatChunkChoice, typeof OBJECT> {
  const form: ChunkForm<ChatChunkChoice, typeof OBJECT> = {
    object: OBJECT,
    head: { service_tier: tierOfClass(options.class) },
    id: chatCompletionId,
    // A choice's first chunk says whose words they are.
    opening: (index) => [emptyChoice(index)],
    empty: emptyChoice,
    part: toChoice,
  };
  return new AnswerChunks(form, options);
}

function toChoice(index: number, part: NewPart): ChatChunkChoice {
  switch (part.kind) {
    case "reasoning":
      return choiceOf(index, { reasoning_content: part.text });
    case "text": {
      const logprobs = part.logprobs.length === 0 ? null : toChatLogprobs(part.logprobs);
      return { ...choiceOf(index, { content: part.text }), logprobs };
    }
    case "tool_call":
      return choiceOf(index, { tool_calls: [part.call] });
    case "end":
      return { ...choiceOf(index, {}), finish_reason: part.finishReason };
  }
}

function emptyChoice(index: number): ChatChunkChoice {
  return choiceOf(index, { role: "assistant", content: "" });
}

function choiceOf(index: number, delta: object): ChatChunkChoice {
  return { index, delta, logprobs: null, finish_reason: null };
}
