import type { ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import { expect, test } from "vitest";
import type { QuernError } from "../contract/errors.ts";
import { generationRequestSchema } from "../contract/generation.ts";
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
    class: "interactive",
    background: false,
    store: false,
    stream: false,
    includeUsage: false,
    generation: {
      completion: null,
      messages: [user],
      tools: [],
      templateOptions: {},
      sampling: {},
      seed: 42,
      maxTokens: null,
      stop: [],
      format: { type: "text" },
      toolChoice: { type: "auto" },
      thinkingBudgetTokens: null,
      logitBias: [],
      topLogprobs: null,
      choices: 1,
    },
  });
});

test("every option is carried over", () => {
  const { stream, includeUsage, generation } = parse({
    temperature: 0.5,
    top_p: 0.9,
    top_k: 10,
    min_p: 0.1,
    presence_penalty: 1.5,
    frequency_penalty: -2,
    repetition_penalty: 1.05,
    logit_bias: { "151643": -100, "5": 0.5 },
    n: 16,
    logprobs: true,
    top_logprobs: 20,
    parallel_tool_calls: false,
    thinking_budget: 64,
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
    sampling: {
      temperature: 0.5,
      topP: 0.9,
      topK: 10,
      minP: 0.1,
      presencePenalty: 1.5,
      frequencyPenalty: -2,
      repetitionPenalty: 1.05,
    },
    logitBias: [
      { token: 5, bias: 0.5 },
      { token: 151_643, bias: -100 },
    ],
    choices: 16,
    topLogprobs: 20,
    thinkingBudgetTokens: 64,
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
    presence_penalty: null,
    frequency_penalty: null,
    repetition_penalty: null,
    logit_bias: null,
    logprobs: null,
    top_logprobs: null,
    parallel_tool_calls: null,
    thinking_budget: null,
    tool_choice: null,
    response_format: null,
    reasoning_effort: null,
    stream_options: null,
    enable_thinking: null,
    chat_template_kwargs: { enable_thinking: null, thinking_budget: null },
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

test("null counts as absent inside messages and tools too", () => {
  const { generation } = parse({
    messages: [
      { ...user, name: null },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: null, function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", content: "1", tool_call_id: null },
    ],
    tools: [{ type: "function", function: { name: "f", description: null, parameters: null, strict: true } }],
  });
  expect(generation.messages).toEqual([
    user,
    {
      role: "assistant",
      content: "",
      tool_calls: [{ type: "function", function: { name: "f", arguments: "{}" } }],
    },
    { role: "tool", content: "1" },
  ]);
  expect(generation.tools).toEqual([{ type: "function", function: { name: "f" } }]);
});

test("what is parsed is what the contract takes, also after a trip through JSON", () => {
  const { generation } = parse({
    messages: [{ role: "user", content: "𝄞 \u0000 </think> /no_think" }],
    tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
    seed: Number.MIN_SAFE_INTEGER,
  });
  expect(generationRequestSchema.parse(JSON.parse(JSON.stringify(generation)))).toEqual(generation);
  expect(generation.messages[0]?.content).toBe("𝄞 \u0000 </think> /no_think");
});

test("a body as OpenAI's own types have it", () => {
  const body: ChatCompletionCreateParamsNonStreaming = {
    model: "m",
    messages: [
      { role: "developer", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "Weather?" }], name: "ann" },
      {
        role: "assistant",
        tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "call_1", content: "12" },
    ],
    tools: [{ type: "function", function: { name: "f", parameters: {}, strict: true } }],
    tool_choice: { type: "function", function: { name: "f" } },
    response_format: { type: "json_schema", json_schema: { name: "city", schema: {}, strict: true } },
    presence_penalty: 1,
    logit_bias: { "5": 1 },
    reasoning_effort: "low",
    logprobs: true,
    n: 2,
    metadata: { order: "7" },
    store: false,
    parallel_tool_calls: true,
    service_tier: "auto",
    safety_identifier: "x",
    prompt_cache_key: "y",
    user: "ann",
  };
  const { generation } = parseChatRequest(body, { drawSeed: () => 1 });
  expect(generation.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "tool"]);
  expect(generation.messages[1]).toMatchObject({ name: "ann" });
});

const tools = [{ type: "function", function: { name: "f" } }];

test("tool_choice none takes the tools away", () => {
  expect(parse({ tools, tool_choice: "none" }).generation.tools).toEqual([]);
  expect(parse({ tool_choice: "none" }).generation.tools).toEqual([]);
  expect(parse({ tools, tool_choice: "auto" }).generation.tools).toHaveLength(1);
});

test.each([
  ["auto", { type: "auto" }],
  ["none", { type: "auto" }],
  ["required", { type: "required" }],
  [
    { type: "function", function: { name: "f" } },
    { type: "function", name: "f" },
  ],
])("tool_choice %j", (choice, expected) => {
  expect(parse({ tools, tool_choice: choice }).generation.toolChoice).toEqual(expected);
});

test("response_format says what the content looks like", () => {
  const formatOf = (format: object) => parse({ response_format: format }).generation.format;
  const schema = { type: "object", properties: { city: { type: "string" } } };
  const named = { name: "answer_1-a", description: "A city", strict: true, schema };
  expect(formatOf({ type: "text" })).toEqual({ type: "text" });
  expect(formatOf({ type: "json_object" })).toEqual({ type: "json_object" });
  expect(formatOf({ type: "json_schema", json_schema: named })).toEqual({ type: "json_schema", schema });
  expect(formatOf({ type: "json_schema", json_schema: { name: "a", schema, strict: null } })).toMatchObject({
    schema,
  });
});

test("log-probabilities: none, each token's own, or some more beside it", () => {
  expect(parse({ logprobs: false }).generation.topLogprobs).toBeNull();
  expect(parse({ logprobs: true }).generation.topLogprobs).toBe(0);
  expect(parse({ logprobs: true, top_logprobs: 5 }).generation.topLogprobs).toBe(5);
});

test.each([
  ["none", false, 0],
  ["minimal", true, 512],
  ["low", true, 1_024],
  ["medium", true, 8_192],
  ["high", true, 24_576],
])("reasoning_effort %s: thinking %s, up to %i tokens", (effort, thinking, tokens) => {
  const { generation } = parse({ reasoning_effort: effort });
  expect(generation.templateOptions).toEqual({ enable_thinking: thinking });
  expect(generation.thinkingBudgetTokens).toBe(tokens);
});

test("a thinking budget is the engine's, not the template's; the more particular one counts", () => {
  const both = { thinking_budget: 100, reasoning_effort: "low", enable_thinking: true };
  expect(parse(both).generation).toMatchObject({
    thinkingBudgetTokens: 100,
    templateOptions: { enable_thinking: true },
  });
  const inner = { ...both, chat_template_kwargs: { thinking_budget: 0, other: 1 } };
  expect(parse(inner).generation).toMatchObject({ thinkingBudgetTokens: 0 });
  expect(parse(inner).generation.templateOptions).toEqual({ enable_thinking: true, other: 1 });
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
  [
    "the role of old function results",
    { messages: [user, { role: "function", name: "f", content: "x" }] },
    "messages[1].role",
    /tool/,
  ],
  ["a message that is none", { messages: [user, null] }, "messages[1]", /expected object/],
  [
    "content of another type",
    { messages: [user, { role: "user", content: 5 }] },
    "messages[1].content",
    /must be a string, or an array/,
  ],
  ["a message without content", { messages: [{ role: "user" }] }, "messages[0].content", /./],
  [
    "a part without text",
    { messages: [{ role: "user", content: [{ type: "text" }] }] },
    "messages[0].content[0].text",
    /is missing/,
  ],
  [
    "an assistant that says and calls nothing",
    { messages: [user, { role: "assistant", content: null, tool_calls: [] }] },
    "messages[1].content",
    /needs content or tool_calls/,
  ],
  ["no model", { model: undefined }, "model", /is missing/],
  [
    "a tool of another type",
    { tools: [{ type: "retrieval", function: { name: "f" } }] },
    "tools[0].type",
    /"function"/,
  ],
  [
    "a tool without a name",
    { tools: [{ type: "function", function: {} }] },
    "tools[0].function.name",
    /missing/,
  ],
  ...["a>b", "<a", "a b", "a\n", "x".repeat(129)].map((name): (typeof bad)[number] => [
    `a tool named ${JSON.stringify(name.slice(0, 9))}`,
    {
      tools: [
        { type: "function", function: { name: "功能.a:b/c-d_1" } },
        { type: "function", function: { name } },
      ],
    },
    "tools[1].function.name",
    /1 to 128 characters, without blanks, < and >/,
  ]),
  [
    "half a surrogate pair deep in a tool",
    { tools: [{ type: "function", function: { name: "f", parameters: { a: { "\uDC00": 1 } } } }] },
    "tools[0].function.parameters.a",
    /surrogate/,
  ],
  ["half a surrogate pair to stop at", { stop: ["ok", "\uD83D"] }, "stop[1]", /surrogate/],
  [
    "endless nesting",
    { chat_template_kwargs: { a: nested(5_000) } },
    "chat_template_kwargs.a",
    /deeper than 100/,
  ],
  [
    "thinking that is neither on nor off",
    { chat_template_kwargs: { enable_thinking: "false" } },
    "chat_template_kwargs.enable_thinking",
    /expected boolean/,
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
  ["an empty stop string", { stop: "" }, "stop", /must not be empty/],
  ["too many stop strings", { stop: Array(17).fill("x") }, "stop", /at most 16/],
  ["an endless temperature", { temperature: Number.POSITIVE_INFINITY }, "temperature", /./],
  ["a top_p of 0", { top_p: 0 }, "top_p", />0/],
  ["a negative top_k", { top_k: -1 }, "top_k", />=0/],
  ["a stream that is neither on nor off", { stream: "yes" }, "stream", /expected boolean/],
  ["a misspelt field", { temprature: 1 }, "temprature", /unknown parameter: temprature/],
  ["a penalty out of range", { presence_penalty: 2.1 }, "presence_penalty", /<=2/],
  ["another one", { frequency_penalty: -3 }, "frequency_penalty", />=-2/],
  ["a repetition penalty of 0", { repetition_penalty: 0 }, "repetition_penalty", />0/],
  ["a repetition penalty out of range", { repetition_penalty: 2.5 }, "repetition_penalty", /<=2/],
  ["no choice", { n: 0 }, "n", />=1/],
  ["too many choices", { n: 17 }, "n", /<=16/],
  ["a bias on a word", { logit_bias: { hello: 1 } }, "logit_bias.hello", /id of a token/],
  ["a bias on a second spelling of an id", { logit_bias: { "05": 1 } }, "logit_bias.05", /id of a token/],
  ["a bias on a negative id", { logit_bias: { "-1": 1 } }, "logit_bias.-1", /id of a token/],
  ["a bias on no possible id", { logit_bias: { "2147483648": 1 } }, "logit_bias.2147483648", /id of a token/],
  ["a bias out of range", { logit_bias: { "5": 101 } }, "logit_bias.5", /<=100/],
  [
    "too many biases",
    { logit_bias: Object.fromEntries(Array.from({ length: 301 }, (_, id) => [id, 1])) },
    "logit_bias",
    /at most 300/,
  ],
  ["top_logprobs alone", { top_logprobs: 2 }, "top_logprobs", /needs logprobs/],
  ["top_logprobs with logprobs off", { top_logprobs: 0, logprobs: false }, "top_logprobs", /needs logprobs/],
  ["too many top_logprobs", { logprobs: true, top_logprobs: 21 }, "top_logprobs", /<=20/],
  [
    "an unknown format",
    { response_format: { type: "yaml" } },
    "response_format.type",
    /text, json_object, json_s/,
  ],
  [
    "a format in another server's form",
    { response_format: { type: "json_object", schema: {} } },
    "response_format.schema",
    /unknown parameter/,
  ],
  [
    "a format without its schema",
    { response_format: { type: "json_schema" } },
    "response_format.json_schema",
    /missing/,
  ],
  [
    "a schema without its name",
    { response_format: { type: "json_schema", json_schema: { schema: {} } } },
    "response_format.json_schema.name",
    /missing/,
  ],
  [
    "a schema with a bad name",
    { response_format: { type: "json_schema", json_schema: { name: "a b", schema: {} } } },
    "response_format.json_schema.name",
    /1 to 64 letters/,
  ],
  [
    "a schema that leads away",
    { response_format: formatWith({ properties: { a: { $ref: "https://example.com/a.json" } } }) },
    "response_format.json_schema.schema.properties.a.$ref",
    /only the schema itself/,
  ],
  [
    "a tool with too many parameters",
    {
      tools: [
        {
          type: "function",
          function: {
            name: "f",
            parameters: {
              properties: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`p${i}`, {}])),
            },
          },
        },
      ],
    },
    "tools[0].function.parameters",
    /more than 256 properties/,
  ],
  ["an unknown tool choice", { tools, tool_choice: "any" }, "tool_choice", /'auto', 'none', 'required'/],
  [
    "a tool choice of another type",
    { tools, tool_choice: { type: "custom" } },
    "tool_choice.type",
    /function/,
  ],
  ["a tool that must be called, of none", { tool_choice: "required" }, "tool_choice", /needs tools/],
  [
    "a tool that is not there",
    { tools, tool_choice: { type: "function", function: { name: "g" } } },
    "tool_choice.function.name",
    /no 'g' among the tools/,
  ],
  ["an unknown effort", { reasoning_effort: "extreme" }, "reasoning_effort", /"none"\|"minimal"\|"low"/],
  [
    "an effort without thinking",
    { reasoning_effort: "low", enable_thinking: false },
    "reasoning_effort",
    /contradict each other/,
  ],
  [
    "thinking without an effort",
    { reasoning_effort: "none", chat_template_kwargs: { enable_thinking: true } },
    "reasoning_effort",
    /contradict each other/,
  ],
  ["a negative budget", { thinking_budget: -1 }, "thinking_budget", />=0/],
  [
    "a budget that is no number",
    { chat_template_kwargs: { thinking_budget: "100" } },
    "chat_template_kwargs.thinking_budget",
    /expected number/,
  ],
  ["two limits that differ", { max_tokens: 1, max_completion_tokens: 2 }, "max_completion_tokens", /differ/],
];

function formatWith(schema: object): object {
  return { type: "json_schema", json_schema: { name: "a", schema } };
}

function nested(levels: number): unknown {
  let value: unknown = "x";
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

test.each(bad)("%s is refused with the field at fault", (_name, changes, param, message) => {
  const refused = refusal({ model: "m", messages: [user], ...(changes as object) });
  expect(refused.code).toBe("invalid_request");
  expect(refused.param).toBe(param);
  expect(refused.message).toMatch(message);
});

test.each([
  [{ functions: [{ name: "f" }] }, "functions"],
  [{ function_call: "auto" }, "function_call"],
  [{ modalities: ["text", "audio"] }, "modalities"],
])("%o is refused rather than ignored", (changes, param) => {
  const refused = refusal({ model: "m", messages: [user], ...changes });
  expect(refused).toMatchObject({ code: "unsupported_parameter", param });
  expect(refused.message).toContain(param);
});

test.each(["image_url", "input_audio", "file"])("%s is content that no model here reads", (type) => {
  const messages = [user, { role: "user", content: [{ type: "text", text: "See" }, { type }] }];
  expect(refusal({ model: "m", messages })).toMatchObject({
    code: "unsupported_parameter",
    param: "messages[1].content[1]",
  });
});

test("values that ask for no more than there is pass", () => {
  const body = {
    n: 1,
    logprobs: false,
    response_format: { type: "text" },
    logit_bias: {},
    modalities: ["text"],
    functions: [],
  };
  expect(parse(body)).toEqual(parse());
});

test.each([[null], ["text"], [5], [[]]])("%o is no body", (body) => {
  expect(refusal(body).message).toMatch(/the body is not valid/);
});

test("a list that is longer than any request needs is refused before its items are read", () => {
  const body = { model: "m", messages: Array.from({ length: 8_193 }, () => ({ role: "nobody" })) };
  expect(refusal(body)).toEqual({
    code: "invalid_request",
    param: "messages",
    message: "messages: has 8193 items; one request takes at most 8192",
  });
  expect(parse({ messages: Array.from({ length: 8_192 }, () => user) }).generation.messages).toHaveLength(
    8_192,
  );
});
