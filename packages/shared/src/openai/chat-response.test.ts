import type { ChatCompletion as OpenAIChatCompletion } from "openai/resources/chat/completions";
import { expect, test } from "vitest";
import type { GenerationResult } from "../contract/generation.ts";
import { toChatCompletion } from "./chat-response.ts";

const usage = { promptTokens: 3, completionTokens: 5, reasoningTokens: 2, cachedTokens: 1 };
const call = { id: "call_1", type: "function" as const, function: { name: "f", arguments: '{"a": 1}' } };

function completionOf(result: Partial<GenerationResult>) {
  return toChatCompletion({
    jobId: "job_0198-a",
    model: "m",
    createdAtMs: 1_999,
    usage,
    result: { text: "", reasoning: "", toolCalls: [], finishReason: "stop", ...result },
  });
}

test("a completion says what was generated and what it took", () => {
  expect(completionOf({ text: "Yes", reasoning: "Hm" })).toEqual({
    id: "chatcmpl-0198-a",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Yes", reasoning_content: "Hm", refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage: {
      prompt_tokens: 3,
      completion_tokens: 5,
      total_tokens: 8,
      prompt_tokens_details: { cached_tokens: 1 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
  });
});

test("content is null beside tool calls only; an empty answer is an empty text", () => {
  expect(completionOf({ toolCalls: [call], finishReason: "tool_calls" }).choices[0].message).toEqual({
    role: "assistant",
    content: null,
    tool_calls: [call],
    refusal: null,
  });
  expect(completionOf({ text: "I look.", toolCalls: [call] }).choices[0].message.content).toBe("I look.");
  expect(completionOf({ finishReason: "length" }).choices[0].message).toEqual({
    role: "assistant",
    content: "",
    refusal: null,
  });
});

test("OpenAI's own type takes it", () => {
  const { choices, ...rest } = completionOf({ text: "Yes" });
  const typed: OpenAIChatCompletion = { ...rest, choices: [{ ...choices[0], finish_reason: "stop" }] };
  expect(typed.choices[0]?.message.content).toBe("Yes");
});
