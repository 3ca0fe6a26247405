import type { GenerationResult, TemplateMessage } from "../contract/generation.ts";
import { isEmbeddingRequest, type JobRecord } from "../contract/job.ts";
import { isTerminal } from "../contract/lifecycle.ts";
import { readEcho } from "./responses-echo.ts";
import { withoutInstructions } from "./responses-input.ts";

/**
 * What a response that follows this one goes on from: what the job was asked, but its instructions, which OpenAI leaves
 * behind as well, and what it has said. null: it has not ended, or has said nothing.
 */
export function messagesAfter(
  job: Pick<JobRecord, "state" | "request" | "result" | "echoed">,
): TemplateMessage[] | null {
  const { state, request, result } = job;
  if (!isTerminal(state) || isEmbeddingRequest(request) || result === null || "vectors" in result)
    return null;
  const asked = withoutInstructions(readEcho(job.echoed).instructions, request.messages);
  return [...asked, saidIn(result)];
}

function saidIn({ text, reasoning, toolCalls }: GenerationResult): TemplateMessage {
  return {
    role: "assistant",
    content: text,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
  };
}
