import { expect, test } from "vitest";
import { OutputParser, type OutputParserOptions, type OutputPart } from "./output-parser.ts";

const toolCallId = (index: number) => `call_${index}`;

interface Parsed {
  text: string;
  reasoning: string;
  calls: unknown[];
}

function parse(output: string, options: Partial<OutputParserOptions>, pieceLength: number): Parsed {
  const parser = new OutputParser({ begin: "undecided", toolCalls: false, toolCallId, ...options });
  const parts: OutputPart[] = [];
  for (let at = 0; at < output.length; at += pieceLength) {
    parts.push(...parser.push(output.slice(at, at + pieceLength)));
  }
  parts.push(...parser.end());
  return {
    text: parts.map((part) => (part.kind === "text" ? part.text : "")).join(""),
    reasoning: parts.map((part) => (part.kind === "reasoning" ? part.text : "")).join(""),
    calls: parts.flatMap((part) => (part.kind === "tool_call" ? [part.call.function] : [])),
  };
}

const oslo = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
const osloCall = { name: "get_weather", arguments: '{"city": "Oslo"}' };

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
  ["a call", oslo, { toolCalls: true }, { text: "", reasoning: "", calls: [osloCall] }],
  [
    "text and two calls",
    `Let me see.\n\nNow:\n${oslo}\n${oslo}`,
    { toolCalls: true },
    { text: "Let me see.\n\nNow:", reasoning: "", calls: [osloCall, osloCall] },
  ],
  [
    "thinking, then a call",
    `<think>\nWeather.\n</think>\n\n${oslo}`,
    { toolCalls: true },
    { text: "", reasoning: "Weather.", calls: [osloCall] },
  ],
  [
    "a call that is not JSON stays visible",
    "<tool_call>\nget_weather(Oslo)\n</tool_call>",
    { toolCalls: true },
    { text: "<tool_call>\nget_weather(Oslo)\n</tool_call>", reasoning: "", calls: [] },
  ],
  [
    "a call cut off stays visible",
    'Yes <tool_call>\n{"name": "get',
    { toolCalls: true },
    { text: 'Yes <tool_call>\n{"name": "get', reasoning: "", calls: [] },
  ],
  [
    "with tools, but none called",
    "a < b\n<tool\n",
    { toolCalls: true },
    { text: "a < b\n<tool\n", reasoning: "", calls: [] },
  ],
];

// However the tokens cut the text, the outcome is the same.
for (const pieceLength of [1, 2, 3, 7, 1_000]) {
  test.each(cases)(`%s (in pieces of ${pieceLength})`, (_name, output, options, expected) => {
    expect(parse(output, options, pieceLength)).toEqual(expected);
  });
}

test("text leaves as soon as it is decided", () => {
  const parser = new OutputParser({ begin: "answering", toolCalls: true, toolCallId });
  expect(parser.push("Hello <")).toEqual([{ kind: "text", text: "Hello " }]);
  expect(parser.push("b")).toEqual([{ kind: "text", text: "<b" }]);
});

test("knows whether it is inside the think block", () => {
  const parser = new OutputParser({ begin: "undecided", toolCalls: false, toolCallId });
  const seen = ["<think>", "\nI", "</think>", "\n\n4"].map((piece) => {
    parser.push(piece);
    return parser.thinking;
  });
  expect(seen).toEqual([true, true, false, false]);
});
