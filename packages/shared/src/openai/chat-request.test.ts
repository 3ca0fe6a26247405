import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import { type ChatRequest, parseChatRequest } from "./chat-request.ts";

const user = { role: "user", content: "Hi" };

function parse(changes: object = {}): ChatRequest {
  return parseChatRequest({ model: "m", messages: [user], ...changes }, { drawSeed: () => 42 });
}

function refusal(body: unknown): Pick<QuernError, "code" | "param" | "message"> {
  try {
    parseChatRequest(body, { drawSeed: () => 42 });
  } catch (error) {
    const { code, param, message } = error as QuernError;
    return { code, param, message };
  }
  throw new Error("the body was accepted");
}

test("what is left out is left to the model; the seed is drawn", () => {
  expect(parse()).toEqual({
    model: "m",
    stream: false,
    includeUsage: false,
    generation: {
      messages: [user],
      tools: [],
      templateOptions: {},
      sampling: {},
      seed: 42,
      maxTokens: null,
      stop: [],
    },
  });
});

test("every option is carried over", () => {
  const { stream, includeUsage, generation } = parse({
    temperature: 0.5,
    top_p: 0.9,
    top_k: 10,
    min_p: 0.1,
    seed: -7,
    stop: "END",
    max_completion_tokens: 5,
    stream: true,
    stream_options: { include_usage: true },
    enable_thinking: true,
    chat_template_kwargs: { enable_thinking: false, other: 1 },
    user: "someone",
    tools: [{ type: "function", function: { name: "f" } }],
  });
  expect({ stream, includeUsage }).toEqual({ stream: true, includeUsage: true });
  expect(generation).toMatchObject({
    sampling: { temperature: 0.5, topP: 0.9, topK: 10, minP: 0.1 },
    seed: 7,
    stop: ["END"],
    maxTokens: 5,
    templateOptions: { enable_thinking: false, other: 1 },
    tools: [{ type: "function", function: { name: "f" } }],
  });
});

test("null counts as absent, as OpenAI's clients send it", () => {
  const nulls = {
    temperature: null,
    stop: null,
    tools: null,
    seed: null,
    max_tokens: null,
    stream: null,
    n: null,
  };
  expect(parse(nulls)).toEqual(parse());
});

test("messages become what templates read", () => {
  const call = { function: { name: "f", arguments: { city: "Oslo" } } };
  const { generation } = parse({
    messages: [
      {
        role: "developer",
        content: [
          { type: "text", text: "Be " },
          { type: "text", text: "brief." },
        ],
      },
      user,
      { role: "assistant", content: null, reasoning_content: "Hm", tool_calls: [{ index: 0, ...call }] },
      { role: "tool", content: "12", tool_call_id: "call_1" },
    ],
  });
  expect(generation.messages).toEqual([
    { role: "system", content: "Be brief." },
    user,
    { role: "assistant", content: "", reasoning_content: "Hm", tool_calls: [{ type: "function", ...call }] },
    { role: "tool", content: "12", tool_call_id: "call_1" },
  ]);
});

test("tool_choice none takes the tools away", () => {
  const tools = [{ type: "function", function: { name: "f" } }];
  expect(parse({ tools, tool_choice: "none" }).generation.tools).toEqual([]);
  expect(parse({ tools, tool_choice: "auto" }).generation.tools).toHaveLength(1);
});

const bad: [name: string, changes: unknown, param: string | null, message: RegExp][] = [
  ["no messages", { messages: [] }, "messages", /at least one message/],
  ["messages of another type", { messages: "Hi" }, "messages", /expected array/],
  [
    "an unknown role",
    { messages: [{ role: "robot", content: "x" }] },
    "messages[0].role",
    /system, developer, user/,
  ],
  ["content of another type", { messages: [user, { role: "user", content: 5 }] }, "messages[1].content", /./],
  [
    "an image",
    { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
    "messages[0].content[0].type",
    /./,
  ],
  [
    "half a surrogate pair",
    { messages: [{ role: "user", content: "a\uD800" }] },
    "messages[0].content",
    /surrogate/,
  ],
  ["a number as text", { temperature: "hot" }, "temperature", /expected number/],
  ["out of range", { temperature: 3 }, "temperature", /<=2/],
  ["max_tokens of 0", { max_tokens: 0 }, "max_tokens", />0/],
  ["a fractional seed", { seed: 1.5 }, "seed", /int/],
  ["an empty stop string", { stop: "" }, "stop", /./],
  ["a misspelt field", { temprature: 1 }, null, /unknown parameter: temprature/],
  ["two limits that differ", { max_tokens: 1, max_completion_tokens: 2 }, "max_completion_tokens", /differ/],
];

test.each(bad)("%s is refused with the field at fault", (_name, changes, param, message) => {
  const refused = refusal({ model: "m", messages: [user], ...(changes as object) });
  expect(refused.code).toBe("invalid_request");
  expect(refused.param).toBe(param);
  expect(refused.message).toMatch(message);
});

test.each([
  [{ n: 2 }, "n"],
  [{ logprobs: true }, "logprobs"],
  [{ response_format: { type: "json_object" } }, "response_format"],
  [{ presence_penalty: 1 }, "presence_penalty"],
  [{ logit_bias: { "5": 1 } }, "logit_bias"],
  [{ tool_choice: "required" }, "tool_choice"],
  [{ tool_choice: { type: "function", function: { name: "f" } } }, "tool_choice"],
])("%o is refused rather than ignored", (changes, param) => {
  const refused = refusal({ model: "m", messages: [user], ...changes });
  expect(refused).toMatchObject({ code: "unsupported_parameter", param });
  expect(refused.message).toContain(param);
});

test("values that ask for no more than there is pass", () => {
  const body = {
    n: 1,
    logprobs: false,
    response_format: { type: "text" },
    presence_penalty: 0,
    logit_bias: {},
  };
  expect(parse(body)).toEqual(parse());
});

test.each([[null], ["text"], [5], [[]]])("%o is no body", (body) => {
  expect(refusal(body).message).toMatch(/the body is not valid/);
});
