import type { GeneratedChoice, GenerationResult, ToolCall, Usage } from "../contract/generation.ts";
import type { JobClass } from "../contract/job.ts";
import { type ChatLogprobs, toChatLogprobs } from "./chat-logprobs.ts";
import { tierOfClass, type UsedTier } from "./service-tier.ts";

export interface ChatUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
  completion_tokens_details: { reasoning_tokens: number };
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  /** Unix seconds. */
  created: number;
  model: string;
  service_tier: UsedTier;
  choices: [ChatChoice, ...ChatChoice[]];
  /** Of all choices together: the prompt counts once. */
  usage: ChatUsage;
}

interface ChatChoice {
  index: number;
  message: {
    role: "assistant";
    content: string | null;
    reasoning_content?: string;
    tool_calls?: ToolCall[];
    refusal: null;
  };
  logprobs: ChatLogprobs | null;
  finish_reason: string | null;
}

export function toChatCompletion(ended: {
  jobId: string;
  model: string;
  class: JobClass;
  createdAtMs: number;
  result: GenerationResult;
  usage: Usage;
}): ChatCompletion {
  const { alternatives, ...first } = ended.result;
  return {
    id: chatCompletionId(ended.jobId),
    object: "chat.completion",
    created: Math.floor(ended.createdAtMs / 1_000),
    model: ended.model,
    service_tier: tierOfClass(ended.class),
    choices: [toChatChoice(first, 0), ...alternatives.map((choice, i) => toChatChoice(choice, i + 1))],
    usage: toChatUsage(ended.usage),
  };
}

function toChatChoice(choice: GeneratedChoice, index: number): ChatChoice {
  const { text, reasoning, toolCalls, finishReason, logprobs } = choice;
  return {
    index,
    message: {
      role: "assistant",
      // OpenAI's form: no content beside tool calls is null.
      content: text === "" && toolCalls.length > 0 ? null : text,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
      refusal: null,
    },
    logprobs: logprobs === null ? null : toChatLogprobs(logprobs),
    finish_reason: finishReason,
  };
}

export function toChatUsage(usage: Usage): ChatUsage {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  };
}

/** One job, one completion: the id is made of the job's. */
export function chatCompletionId(jobId: string): string {
  return `chatcmpl-${jobId.replace(/^job_/, "")}`;
}
