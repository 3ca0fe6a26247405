import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import type { GenerationRequest } from "../contract/generation.ts";
import { parseResponsesRequest, type ResponsesRequest } from "./responses-request.ts";

function parse(changes: object): ResponsesRequest {
  return parseResponsesRequest({ model: "m", input: "Hi", ...changes }, { drawSeed: () => 7 });
}
function generation(changes: object): GenerationRequest {
  return parse(changes).generationAfter([]);
}
function refusalOf(changes: object): object {
  try {
    parse(changes);
    return {};
  } catch (error) {
    const { code, param, message } = error as QuernError;
    return { code, param, message };
  }
}

const weather = { type: "function", name: "weather", parameters: { type: "object", properties: {} } };
const time = { type: "function", name: "time" };

test("a string is what a user says, after the instructions", () => {
  expect(generation({ instructions: "Be short." }).messages).toEqual([
    { role: "system", content: "Be short." },
    { role: "user", content: "Hi" },
  ]);
  expect(generation({ instructions: "" }).messages).toEqual([{ role: "user", content: "Hi" }]);
});

test("an earlier response's output becomes the one message that it is to a template", () => {
  const input = [
    {
      role: "user",
      content: [
        { type: "input_text", text: "The weather " },
        { type: "input_text", text: "in Oslo?" },
      ],
    },
    {
      type: "reasoning",
      id: "rs_1",
      summary: [],
      content: [{ type: "reasoning_text", text: "I look." }],
      status: "completed",
    },
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "A moment.", annotations: [], logprobs: [] }],
    },
    { type: "function_call", id: "fc_1", call_id: "call_1", name: "weather", arguments: '{"city":"Oslo"}' },
    { type: "function_call", id: "fc_2", call_id: "call_2", name: "time", arguments: "{}" },
    { type: "function_call_output", call_id: "call_1", output: "windy" },
    { type: "function_call_output", call_id: "call_2", output: [{ type: "input_text", text: "noon" }] },
    { type: "reasoning", summary: [{ type: "summary_text", text: "Done." }] },
    { type: "message", role: "assistant", content: "Windy." },
  ];
  expect(generation({ input }).messages).toEqual([
    { role: "user", content: "The weather in Oslo?" },
    {
      role: "assistant",
      content: "A moment.",
      reasoning_content: "I look.",
      tool_calls: [
        { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
        { id: "call_2", type: "function", function: { name: "time", arguments: "{}" } },
      ],
    },
    { role: "tool", content: "windy", tool_call_id: "call_1" },
    { role: "tool", content: "noon", tool_call_id: "call_2" },
    { role: "assistant", content: "Windy.", reasoning_content: "Done." },
  ]);
});

test("instructions, and system and developer messages that lead the input, are one system message", () => {
  const input = [
    { role: "developer", content: "Use metres." },
    { role: "user", content: "Hi" },
    { role: "system", content: "Now in feet." },
  ];
  expect(generation({ instructions: "Be short.", input }).messages).toEqual([
    { role: "system", content: "Be short.\n\nUse metres." },
    { role: "user", content: "Hi" },
    { role: "system", content: "Now in feet." },
  ]);
});

test("earlier messages stand between the instructions and the input", () => {
  const earlier = [
    { role: "user", content: "Who?" } as const,
    { role: "assistant", content: "Me." } as const,
  ];
  expect(parse({ instructions: "Be short." }).generationAfter(earlier).messages).toEqual([
    { role: "system", content: "Be short." },
    ...earlier,
    { role: "user", content: "Hi" },
  ]);
});

test("the bounds of the answer, its form and its thinking", () => {
  const schema = { type: "object", properties: { city: { type: "string" } } };
  expect(
    generation({
      max_output_tokens: 50,
      temperature: 0.5,
      top_k: 20,
      seed: 3,
      stop: "END",
      reasoning: { effort: "low", summary: "auto" },
      text: { format: { type: "json_schema", name: "city", schema, strict: true } },
      include: ["message.output_text.logprobs", "reasoning.encrypted_content"],
      top_logprobs: 2,
    }),
  ).toMatchObject({
    maxTokens: 50,
    sampling: { temperature: 0.5, topK: 20 },
    seed: 3,
    stop: ["END"],
    templateOptions: { enable_thinking: true },
    thinkingBudgetTokens: 1_024,
    format: { type: "json_schema", schema },
    topLogprobs: 2,
    choices: 1,
  });
  expect(generation({})).toMatchObject({
    seed: 7,
    maxTokens: null,
    format: { type: "text" },
    topLogprobs: null,
  });
});

test("a model is shown the tools that it may call", () => {
  const asked = (tool_choice: unknown) => {
    const { tools, toolChoice } = generation({ tools: [weather, time], tool_choice });
    return [tools.map(({ function: { name } }) => name), toolChoice];
  };
  expect(asked(undefined)).toEqual([["weather", "time"], { type: "auto" }]);
  expect(asked("none")).toEqual([[], { type: "auto" }]);
  expect(asked("required")).toEqual([["weather", "time"], { type: "required" }]);
  expect(asked({ type: "function", name: "time" })).toEqual([
    ["weather", "time"],
    { type: "function", name: "time" },
  ]);
  expect(asked({ type: "allowed_tools", mode: "required", tools: [time] })).toEqual([
    ["time"],
    { type: "required" },
  ]);
});

test("whether anybody waits, and what is only repeated", () => {
  expect(parse({})).toMatchObject({ background: false, store: false, stream: false, class: "interactive" });
  expect(parse({ background: true, store: true, service_tier: "flex", metadata: { a: "b" } })).toMatchObject({
    background: true,
    store: true,
    class: "batch",
    metadata: { a: "b" },
    echoed: { background: true, metadata: { a: "b" }, tool_choice: "auto", truncation: "disabled" },
  });
  expect(parse({ tools: [time] }).echoed.tools).toEqual([
    { ...time, description: null, parameters: null, strict: null },
  ]);
});

test.each([
  [{ conversation: "conv_1" }, "conversation", /previous_response_id/],
  [{ prompt: { id: "pmpt_1" } }, "prompt", /instructions/],
  [{ truncation: "auto" }, "truncation", /shorten/],
  [{ text: { verbosity: "low" } }, "text.verbosity", /instructions/],
  [{ tools: [{ type: "web_search" }] }, "tools[0].type", /function/],
  [{ tool_choice: { type: "file_search" } }, "tool_choice.type", /function/],
  [{ input: [{ type: "item_reference", id: "msg_1" }] }, "input[0].type", /previous_response_id/],
  [{ input: [{ type: "computer_call" }] }, "input[0].type", /function_call/],
  [{ input: [{ role: "user", content: [{ type: "input_image" }] }] }, "input[0].content[0]", /text only/],
  [
    { input: [{ type: "function_call_output", call_id: "c", output: [{ type: "input_file" }] }] },
    "input[0].output[0]",
    /text only/,
  ],
  [
    { input: [{ type: "reasoning", encrypted_content: "x" }] },
    "input[0].encrypted_content",
    /leave the item out/,
  ],
])("what can't be carried out is refused by name: %j", (changes, param, message) => {
  expect(refusalOf(changes)).toEqual({
    code: "unsupported_parameter",
    param,
    message: expect.stringMatching(message),
  });
});

test.each([
  [{ input: undefined }, "input", /string, or an array|missing/],
  [{ input: [] }, "input", /at least one item/],
  [{ input: [{ role: "tool", content: "x" }] }, "input[0].role", /system, developer, user, assistant/],
  [{ input: [{ role: "user" }] }, "input[0].content", /string, or an array/],
  [{ input: [{ type: "function_call_output", output: "x" }] }, "input[0].call_id", /missing/],
  [{ messages: [] }, "messages", /unknown parameter/],
  [{ max_tokens: 5 }, "max_tokens", /unknown parameter/],
  [{ tool_choice: "required" }, "tool_choice", /needs tools/],
  [{ tools: [weather], tool_choice: { type: "function", name: "x" } }, "tool_choice.name", /no 'x'/],
  [
    { tools: [weather], tool_choice: { type: "allowed_tools", mode: "auto", tools: [time] } },
    "tool_choice.tools[0].name",
    /no 'time'/,
  ],
  [{ top_logprobs: 3 }, "top_logprobs", /include/],
  [{ include: ["everything"] }, "include[0]", /message.output_text.logprobs/],
  [{ reasoning: { effort: "none" }, enable_thinking: true }, "reasoning.effort", /contradict/],
  [{ reasoning: { effort: "max" } }, "reasoning.effort", /minimal/],
  [
    { text: { format: { type: "json_schema", name: "a", schema: { $ref: "https://example.com" } } } },
    "text.format.schema.$ref",
    /only the schema itself/,
  ],
  [{ metadata: { a: "b".repeat(513) } }, "metadata.a", /512/],
  [{ instructions: "\ud800" }, "instructions", /surrogate/],
])("what is wrong is refused by the name of its field: %j", (changes, param, message) => {
  expect(refusalOf(changes)).toEqual({
    code: "invalid_request",
    param,
    message: expect.stringMatching(message),
  });
});
