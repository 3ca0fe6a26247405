import type { TemplateTool } from "@quern/shared/contract/generation";
import { expect, test } from "vitest";
import { OutputParser, type OutputParserOptions, type OutputPart } from "./output-parser.ts";

const toolCallId = (index: number) => `call_${index}`;

const weather: TemplateTool = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string" },
        days: { type: ["integer", "null"] },
        exact: { type: "boolean" },
        note: { anyOf: [{ type: "string" }, { type: "null" }] },
        area: { $ref: "#/$defs/area" },
      },
      $defs: { area: { anyOf: [{ type: "object" }, { type: "array" }] } },
    },
  },
};
const tools = [weather];
const none = { begin: "undecided", tools: [], toolCallForm: "hermes", toolCallId } as const;

interface Parsed {
  text: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
}

function parse(output: string, options: Partial<OutputParserOptions>, pieceLength: number): Parsed {
  const parser = new OutputParser({ ...none, ...options });
  const parts: OutputPart[] = [];
  for (let at = 0; at < output.length; at += pieceLength) {
    parts.push(...parser.push(output.slice(at, at + pieceLength)));
  }
  parts.push(...parser.end());
  const calls: Parsed["calls"] = [];
  for (const part of parts) {
    if (part.kind !== "tool_call") continue;
    const { name, arguments: piece = "" } = part.call.function;
    const call = calls[part.call.index];
    if (call === undefined) calls.push({ name: name ?? "", arguments: piece });
    else call.arguments += piece;
  }
  return {
    text: parts.map((part) => (part.kind === "text" ? part.text : "")).join(""),
    reasoning: parts.map((part) => (part.kind === "reasoning" ? part.text : "")).join(""),
    calls,
  };
}

const oslo = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
const osloCall = { name: "get_weather", arguments: '{"city": "Oslo"}' };

const xml = { tools, toolCallForm: "xml" } as const;
const xmlCall = (body: string) => `<tool_call>\n<function=get_weather>\n${body}</function>\n</tool_call>`;
const parameter = (key: string, value: string) => `<parameter=${key}>\n${value}\n</parameter>\n`;

const cases: [name: string, output: string, options: Partial<OutputParserOptions>, expected: Parsed][] = [
  ["plain text stays as it is", " Paris.\n\n", {}, { text: " Paris.\n\n", reasoning: "", calls: [] }],
  [
    "a think block first",
    "<think>\nI add.\n\nDone.\n</think>\n\n    4\n",
    {},
    { text: "    4\n", reasoning: "I add.\n\nDone.", calls: [] },
  ],
  ["an empty think block", "<think>\n\n</think>\n\nYes", {}, { text: "Yes", reasoning: "", calls: [] }],
  [
    "a think block that the prompt opened",
    "Hmm\n</think>\n\nYes",
    { begin: "thinking" },
    { text: "Yes", reasoning: "Hmm", calls: [] },
  ],
  ["cut off while thinking", "<think>\nI ad", {}, { text: "", reasoning: "I ad", calls: [] }],
  ["cut off in a marker", "<thi", {}, { text: "<thi", reasoning: "", calls: [] }],
  [
    "markers later in the text are text",
    "Use <think> and </think>.",
    {},
    { text: "Use <think> and </think>.", reasoning: "", calls: [] },
  ],
  ["a call without tools is text", oslo, {}, { text: oslo, reasoning: "", calls: [] }],
  ["a call", oslo, { tools }, { text: "", reasoning: "", calls: [osloCall] }],
  [
    "text and two calls",
    `Let me see.\n\nNow:\n${oslo}\n${oslo}`,
    { tools },
    { text: "Let me see.\n\nNow:", reasoning: "", calls: [osloCall, osloCall] },
  ],
  [
    "thinking, then a call",
    `<think>\nWeather.\n</think>\n\n${oslo}`,
    { tools },
    { text: "", reasoning: "Weather.", calls: [osloCall] },
  ],
  [
    "a call that is not JSON stays visible",
    "<tool_call>\nget_weather(Oslo)\n</tool_call>",
    { tools },
    { text: "<tool_call>\nget_weather(Oslo)\n</tool_call>", reasoning: "", calls: [] },
  ],
  [
    "a call cut off stays visible",
    'Yes <tool_call>\n{"name": "get',
    { tools },
    { text: 'Yes <tool_call>\n{"name": "get', reasoning: "", calls: [] },
  ],
  [
    "a call cut off in its arguments keeps what was written",
    oslo.slice(0, oslo.indexOf("lo")),
    { tools },
    { text: "", reasoning: "", calls: [{ name: "get_weather", arguments: '{"city": "Os' }] },
  ],
  [
    "markers, braces and escapes in arguments are theirs",
    '<tool_call>{"name":"a","arguments":{"x":"}</tool_call>\\"{","y":[{}]}}</tool_call>ok',
    { tools },
    { text: "ok", reasoning: "", calls: [{ name: "a", arguments: '{"x":"}</tool_call>\\"{","y":[{}]}' }] },
  ],
  [
    "arguments before the name",
    '<tool_call>\n{"arguments": {"city": "Oslo"}, "name": "get_weather"}\n</tool_call>',
    { tools },
    { text: "", reasoning: "", calls: [{ name: "get_weather", arguments: '{"city":"Oslo"}' }] },
  ],
  [
    "members beside name and arguments are dropped",
    '<tool_call>{"id": 7, "name": "a", "arguments": { }}</tool_call><tool_call>{"name": "a", "arguments": { }, "id": 7}</tool_call>',
    { tools },
    {
      text: "",
      reasoning: "",
      calls: [
        { name: "a", arguments: "{}" },
        { name: "a", arguments: "{ }" },
      ],
    },
  ],
  [
    "a block that is not closed ends where the next begins",
    '<tool_call>\n{"name": "a", "arguments": {}}\n<tool_call>\n{"name": "b", "arguments": {}}',
    { tools },
    {
      text: "",
      reasoning: "",
      calls: [
        { name: "a", arguments: "{}" },
        { name: "b", arguments: "{}" },
      ],
    },
  ],
  [
    "a nameless call is text",
    oslo.replace("get_weather", ""),
    { tools },
    { text: oslo.replace("get_weather", ""), reasoning: "", calls: [] },
  ],
  [
    "an XML call, typed by its schema",
    xmlCall(
      parameter("city", 'New "York"\n<b>') +
        parameter("days", "3") +
        parameter("exact", "True") +
        parameter("area", '{"km": 2}'),
    ),
    xml,
    {
      text: "",
      reasoning: "",
      calls: [
        {
          name: "get_weather",
          arguments: '{"city": "New \\"York\\"\\n<b>", "days": 3, "exact": true, "area": {"km": 2}}',
        },
      ],
    },
  ],
  [
    "XML values that are not of their type, and parameters of no schema, are texts",
    xmlCall(parameter("days", "three") + parameter("exact", "1") + parameter("other", "5")),
    xml,
    {
      text: "",
      reasoning: "",
      calls: [{ name: "get_weather", arguments: '{"days": "three", "exact": "1", "other": "5"}' }],
    },
  ],
  [
    "tags in XML values are theirs, and null is no text where it may stand",
    xmlCall(parameter("city", "</p></para></function></tool_call>\n") + parameter("note", "null")) +
      xmlCall(parameter("city", "null") + parameter("note", " null")),
    xml,
    {
      text: "",
      reasoning: "",
      calls: [
        {
          name: "get_weather",
          arguments: '{"city": "</p></para></function></tool_call>\\n", "note": null}',
        },
        { name: "get_weather", arguments: '{"city": "null", "note": " null"}' },
      ],
    },
  ],
  [
    "XML calls without parameters, between texts",
    `So:\n${xmlCall("")}\n${xmlCall("")}\nDone`,
    xml,
    {
      text: "So:Done",
      reasoning: "",
      calls: [
        { name: "get_weather", arguments: "{}" },
        { name: "get_weather", arguments: "{}" },
      ],
    },
  ],
  [
    "an XML call cut off in a parameter keeps those before it",
    xmlCall(parameter("city", "Oslo") + parameter("days", "3")).split("3")[0] ?? "",
    xml,
    { text: "", reasoning: "", calls: [{ name: "get_weather", arguments: '{"city": "Oslo"' }] },
  ],
  ["a Hermes call is text where XML is expected", oslo, xml, { text: oslo, reasoning: "", calls: [] }],
  [
    "with tools, but none called",
    "a < b\n<tool\n",
    { tools },
    { text: "a < b\n<tool\n", reasoning: "", calls: [] },
  ],
];

// However the tokens cut the text, the outcome is the same.
for (const pieceLength of [1, 2, 3, 7, 1_000]) {
  test.each(cases)(`%s (in pieces of ${pieceLength})`, (_name, output, options, expected) => {
    expect(parse(output, options, pieceLength)).toEqual(expected);
  });
}

test("a think block opens within the first 256 characters", () => {
  const think = (blanks: number) => `${" ".repeat(blanks)}<think>I</think>4`;
  expect(parse(think(249), {}, 1)).toEqual({ text: "4", reasoning: "I", calls: [] });
  expect(parse(think(250), {}, 1)).toEqual({ text: think(250), reasoning: "", calls: [] });
  expect(parse(think(250), {}, 1_000)).toEqual({ text: think(250), reasoning: "", calls: [] });
});

test("a call whose arguments begin behind its first 1,024 characters comes out whole", () => {
  const output = oslo.replace("\n", "\n".repeat(1_024));
  for (const pieceLength of [1, 10_000]) {
    expect(parse(output, { tools }, pieceLength)).toEqual({
      text: "",
      reasoning: "",
      calls: [{ name: "get_weather", arguments: '{"city":"Oslo"}' }],
    });
  }
});

test("text leaves as soon as it is decided", () => {
  const parser = new OutputParser({ ...none, begin: "answering", tools });
  expect(parser.push("Hello <")).toEqual([{ kind: "text", text: "Hello ", from: 0 }]);
  expect(parser.push("b")).toEqual([{ kind: "text", text: "<b", from: 6 }]);
});

test("a call leaves as it is written: its name, then its arguments", () => {
  const parser = new OutputParser({ ...none, begin: "answering", tools });
  const pieces = [
    '<tool_call>\n{"name": "get_wea',
    'ther", "arguments": {"ci',
    'ty": "Os',
    'lo"}',
    "}\n</tool_call>",
  ];
  const calls = pieces.map((piece) =>
    parser.push(piece).flatMap((part) => (part.kind === "tool_call" ? part.call : [])),
  );
  expect(calls).toEqual([
    [],
    [
      { index: 0, id: "call_0", type: "function", function: { name: "get_weather", arguments: "" } },
      { index: 0, function: { arguments: '{"ci' } },
    ],
    [{ index: 0, function: { arguments: 'ty": "Os' } }],
    [{ index: 0, function: { arguments: 'lo"}' } }],
    [],
  ]);
});

test("an XML call leaves parameter by parameter", () => {
  const parser = new OutputParser({ ...none, ...xml, begin: "answering" });
  const text = xmlCall(parameter("city", "Oslo") + parameter("days", "3"));
  const pieces = [...text].flatMap((character) =>
    parser.push(character).flatMap((part) => (part.kind === "tool_call" ? part.call.function.arguments : [])),
  );
  expect(pieces).toEqual(["", '{"city": "Oslo"', ', "days": 3', "}"]);
});

test("knows which phase it is in", () => {
  const parser = new OutputParser({ ...none, tools });
  const seen = ["<thi", "nk>", "\nI", "</think>", "\n\n4", "<tool_call>", "</tool_call>"].map((piece) => {
    parser.push(piece);
    return parser.phase;
  });
  expect(seen).toEqual([
    "undecided",
    "thinking",
    "thinking",
    "answering",
    "answering",
    "calling",
    "answering",
  ]);
});
