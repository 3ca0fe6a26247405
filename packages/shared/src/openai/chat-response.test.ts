import type { ChatCompletion as OpenAIChatCompletion } from "openai/resources/chat/completions";
import { expect, test } from "vitest";
import type { GeneratedChoice, GenerationResult } from "../contract/generation.ts";
import { toChatCompletion } from "./chat-response.ts";

const usage = { promptTokens: 3, completionTokens: 5, reasoningTokens: 2, cachedTokens: 1 };
const call = { id: "call_1", type: "function" as const, function: { name: "f", arguments: '{"a": 1}' } };

const empty: GeneratedChoice = {
  text: "",
  reasoning: "",
  toolCalls: [],
  finishReason: "stop",
  logprobs: null,
};

function completionOf(result: Partial<GenerationResult>) {
  return toChatCompletion({
    jobId: "job_0198-a",
    model: "m",
    class: "batch",
    createdAtMs: 1_999,
    usage,
    result: { ...empty, alternatives: [], ...result },
  });
}

test("a completion says what was generated and what it took", () => {
  expect(completionOf({ text: "Yes", reasoning: "Hm" })).toEqual({
    id: "chatcmpl-0198-a",
    object: "chat.completion",
    created: 1,
    model: "m",
    service_tier: "flex",
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

test("every choice has its own message, end and index; the usage is of all", () => {
  const { choices, usage } = completionOf({
    text: "One",
    alternatives: [
      { ...empty, text: "Two", reasoning: "Hm", finishReason: "length" },
      { ...empty, toolCalls: [call], finishReason: "tool_calls" },
    ],
  });
  expect(choices).toMatchObject([
    { index: 0, message: { content: "One" }, finish_reason: "stop" },
    { index: 1, message: { content: "Two", reasoning_content: "Hm" }, finish_reason: "length" },
    { index: 2, message: { content: null, tool_calls: [call] }, finish_reason: "tool_calls" },
  ]);
  expect(usage.completion_tokens).toBe(5);
});

test("log-probabilities are in OpenAI's form, also when a token is half a character", () => {
  const half = { token: "\uFFFD", logprob: -0.5, bytes: [195] };
  const { choices } = completionOf({
    text: "é",
    logprobs: [
      { ...half, top: [half, { token: "a", logprob: -1.25, bytes: [97] }] },
      { token: "\uFFFD", logprob: -0.125, bytes: [169], top: [] },
    ],
  });
  expect(choices[0].logprobs).toEqual({
    content: [
      { ...half, top_logprobs: [half, { token: "a", logprob: -1.25, bytes: [97] }] },
      { token: "\uFFFD", logprob: -0.125, bytes: [169], top_logprobs: [] },
    ],
    refusal: null,
  });
});

test("OpenAI's own type takes it", () => {
  const { choices, ...rest } = completionOf({
    text: "Yes",
    logprobs: [{ token: "Yes", logprob: -0.5, bytes: [89, 101, 115], top: [] }],
  });
  const typed: OpenAIChatCompletion = { ...rest, choices: [{ ...choices[0], finish_reason: "stop" }] };
  expect(typed.choices[0]?.message.content).toBe("Yes");
  expect(typed.choices[0]?.logprobs?.content?.[0]?.logprob).toBe(-0.5);
});
