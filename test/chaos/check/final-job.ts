import type { Joined } from "./joined.ts";

/** A job as `GET /v1/jobs/{id}` shows it at the end of a run. */
export interface FinalJob {
  id: string;
  status: string;
  attempt: number;
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
  response: { status_code: number; body: AnswerBody } | null;
  error: { code: string; message: string } | null;
}

interface AnswerBody {
  choices?: {
    text?: string;
    message?: {
      content: string | null;
      reasoning_content?: string;
      tool_calls?: { function: { name: string; arguments: string } }[];
    };
    finish_reason: string | null;
  }[];
  data?: { embedding: number[] }[];
  usage?: object;
}

/** Of an answer in words. */
export function choicesOf({ response }: FinalJob): (Joined & { finishReason: string | null })[] {
  return (response?.body.choices ?? []).map(({ text, message, finish_reason }) => ({
    text: text ?? message?.content ?? "",
    reasoning: message?.reasoning_content ?? "",
    calls: (message?.tool_calls ?? []).map(({ function: { name, arguments: args } }) => ({
      name,
      arguments: args,
    })),
    finishReason: finish_reason,
  }));
}
