import { AnswerChunks, type AnswerChunksOptions } from "./answer-chunks.ts";
import { CompletionLogprobTrail } from "./completion-logprobs.ts";
import { type TextChoice, textCompletionId } from "./completion-response.ts";
import type { NewPart } from "./sent-choice.ts";

/** The chunks of one stream of `/v1/completions`. All that a model writes there is text. */
export function completionChunks(options: AnswerChunksOptions): AnswerChunks<TextChoice, "text_completion"> {
  const trails = new Map<number, CompletionLogprobTrail>();
  return new AnswerChunks(
    {
      object: "text_completion",
      head: {},
      id: textCompletionId,
      opening: (index) => {
        trails.set(index, new CompletionLogprobTrail());
        return [];
      },
      empty: emptyChoice,
      part: (index, part) => toChoice(index, part, trails.get(index)),
    },
    options,
  );
}

function toChoice(index: number, part: NewPart, trail: CompletionLogprobTrail | undefined): TextChoice {
  const choice = emptyChoice(index);
  if (part.kind === "end") return { ...choice, finish_reason: part.finishReason };
  if (part.kind !== "text") return choice;
  const logprobs = part.logprobs.length === 0 ? null : (trail?.next(part.logprobs) ?? null);
  return { ...choice, text: part.text, logprobs };
}

function emptyChoice(index: number): TextChoice {
  return { index, text: "", logprobs: null, finish_reason: null };
}
