import type { GeneratedChoice, GenerationResult, Usage } from "../contract/generation.ts";
import { type ChatUsage, toChatUsage } from "./chat-response.ts";
import { type CompletionLogprobs, CompletionLogprobTrail } from "./completion-logprobs.ts";

export interface TextCompletion {
  id: string;
  object: "text_completion";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: TextChoice[];
  /** Of all choices together: the prompt counts once. */
  usage: ChatUsage;
}

/** A whole answer's choice and a chunk's have one form. */
export interface TextChoice {
  index: number;
  text: string;
  logprobs: CompletionLogprobs | null;
  finish_reason: string | null;
}

export function toTextCompletion(ended: {
  jobId: string;
  model: string;
  createdAtMs: number;
  result: GenerationResult;
  usage: Usage;
}): TextCompletion {
  const { alternatives, ...first } = ended.result;
  return {
    id: textCompletionId(ended.jobId),
    object: "text_completion",
    created: Math.floor(ended.createdAtMs / 1_000),
    model: ended.model,
    choices: [first, ...alternatives].map(toTextChoice),
    usage: toChatUsage(ended.usage),
  };
}

function toTextChoice({ text, finishReason, logprobs }: GeneratedChoice, index: number): TextChoice {
  return {
    index,
    text,
    logprobs: logprobs === null ? null : new CompletionLogprobTrail().next(logprobs),
    finish_reason: finishReason,
  };
}

/** One job, one completion: the id is made of the job's. */
export function textCompletionId(jobId: string): string {
  return `cmpl-${jobId.replace(/^job_/, "")}`;
}
