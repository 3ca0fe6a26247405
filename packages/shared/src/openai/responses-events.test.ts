import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { expect, onTestFinished, test } from "vitest";
import type { GenerationResult, ToolCallDelta } from "../contract/generation.ts";
import type { DeltaEvent, TokenEvent } from "../contract/token-event.ts";
import { type ResponseEvent, ResponseEvents } from "./responses-events.ts";
import { parseResponsesRequest } from "./responses-request.ts";
import { type ResponseEnd, type ResponseHead, toResponse } from "./responses-response.ts";

type Said = Exclude<TokenEvent, { type: "end" }>;

const ID = "019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41";
const { echoed } = parseResponsesRequest({ model: "m", input: "Hi" }, { drawSeed: () => 1 });
const head: ResponseHead = { id: `job_${ID}`, model: "m", class: "interactive", createdAtMs: 5_000, echoed };
const start: Said = { type: "start", data: { attempt: 1 } };
const restart: Said = { type: "restart", data: { attempt: 2 } };
const delta = (data: DeltaEvent["data"]): Said => ({ type: "delta", data });
const called = (call: ToolCallDelta): Said => delta({ tool_calls: [call] });
const begun = (index: number, name: string): Said =>
  called({ index, id: `call_${index}`, type: "function", function: { name, arguments: "" } });
const written = (index: number, text: string): Said => called({ index, function: { arguments: text } });

function ended(result: Partial<GenerationResult>, changes: Partial<ResponseEnd> = {}): ResponseEnd {
  return {
    state: "completed",
    endedAtMs: 7_000,
    result: {
      text: "",
      reasoning: "",
      toolCalls: [],
      finishReason: "stop",
      logprobs: null,
      alternatives: [],
      ...result,
    },
    usage: { promptTokens: 3, completionTokens: 9, reasoningTokens: 2, cachedTokens: 1 },
    error: null,
    ...changes,
  };
}

function streamOf(said: Said[], end: ResponseEnd): ResponseEvent[] {
  const events = new ResponseEvents(head);
  return [...events.opening(), ...said.flatMap((event) => events.next(event)), ...events.end(end)];
}

/** The type of each event, and what it adds. */
function told(events: ResponseEvent[]): string[] {
  return events.map(
    ({ type, delta: added }) => type.replace("response.", "") + (added === undefined ? "" : ` ${added}`),
  );
}

const wordsThenCalls = [
  start,
  delta({ reasoning: "Two " }),
  delta({ reasoning: "cities." }),
  delta({ text: "I look." }),
  begun(0, "weather"),
  written(0, '{"city":'),
  written(0, '"Oslo"}'),
  begun(1, "time"),
  written(1, "{}"),
];
const wordsAndCalls = ended({
  reasoning: "Two cities.",
  text: "I look.",
  toolCalls: [
    { id: "call_0", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
    { id: "call_1", type: "function", function: { name: "time", arguments: "{}" } },
  ],
  finishReason: "tool_calls",
});

test("items are opened, added to and closed one after the other, numbered without a gap", () => {
  const events = streamOf(wordsThenCalls, wordsAndCalls);
  expect(told(events)).toEqual([
    ...["created", "queued", "in_progress"],
    ...[
      "output_item.added",
      "content_part.added",
      "reasoning_text.delta Two ",
      "reasoning_text.delta cities.",
    ],
    ...["reasoning_text.done", "content_part.done", "output_item.done"],
    ...["output_item.added", "content_part.added", "output_text.delta I look."],
    ...["output_text.done", "content_part.done", "output_item.done"],
    ...[
      "output_item.added",
      'function_call_arguments.delta {"city":',
      'function_call_arguments.delta "Oslo"}',
    ],
    ...["function_call_arguments.done", "output_item.done"],
    ...["output_item.added", "function_call_arguments.delta {}"],
    ...["function_call_arguments.done", "output_item.done"],
    "completed",
  ]);
  expect(events.map(({ sequence_number: number }) => number)).toEqual([...events.keys()]);
});

test("the response at the end is the one that is read of the job, and its items are those that were told", () => {
  const events = streamOf(wordsThenCalls, wordsAndCalls);
  const last = events.at(-1)?.response as { output: object[] };
  expect(last).toEqual(toResponse({ ...head, ...wordsAndCalls }));
  const closed = events.filter(({ type }) => type === "response.output_item.done");
  expect(closed.map(({ item }) => item)).toEqual(last.output);
  expect(closed.map(({ output_index: index }) => index)).toEqual([0, 1, 2, 3]);
});

test("what a new attempt says again is passed over: the stream is that of one attempt", () => {
  const again = [
    ...wordsThenCalls.slice(0, 5),
    restart,
    delta({ reasoning: "Two cities." }),
    ...wordsThenCalls.slice(3),
  ];
  expect(streamOf(again, wordsAndCalls)).toEqual(streamOf(wordsThenCalls, wordsAndCalls));
});

test("a new attempt that says something else speaks in new items, which alone are in the response", () => {
  const end = ended({ reasoning: "Two towns.", text: "No." });
  const said = [
    ...wordsThenCalls,
    restart,
    delta({ reasoning: "Two " }),
    delta({ reasoning: "towns." }),
    delta({ text: "No." }),
  ];
  const events = streamOf(said, end);
  const before = streamOf(wordsThenCalls, wordsAndCalls).length - 3;
  expect(told(events.slice(before))).toEqual([
    ...["function_call_arguments.done", "output_item.done", "in_progress"],
    ...[
      "output_item.added",
      "content_part.added",
      "reasoning_text.delta Two ",
      "reasoning_text.delta towns.",
    ],
    ...["reasoning_text.done", "content_part.done", "output_item.done"],
    ...["output_item.added", "content_part.added", "output_text.delta No."],
    ...["output_text.done", "content_part.done", "output_item.done", "completed"],
  ]);
  expect(events.at(-1)?.response).toMatchObject({
    output: [
      { id: `rs_${ID}_1`, content: [{ text: "Two towns." }] },
      { id: `msg_${ID}_1`, content: [{ text: "No." }] },
    ],
  });
});

test("one that says less, or is cancelled before it has said as much, speaks in new items too", () => {
  for (const state of ["completed", "cancelled"] as const) {
    const events = streamOf(
      [start, delta({ text: "Oslo is" }), restart, delta({ text: "Oslo" })],
      ended({ text: "Oslo" }, { state }),
    );
    expect(events.at(-1)?.response).toMatchObject({ output: [{ content: [{ text: "Oslo" }] }] });
  }
});

test("one that says more in an item that is closed already speaks in new items too", () => {
  const longer = { ...wordsAndCalls.result, reasoning: "Two cities, really." } as GenerationResult;
  const thought = [delta({ reasoning: "Two cities, " }), delta({ reasoning: "really." })];
  const events = streamOf(
    [...wordsThenCalls, restart, ...thought, ...wordsThenCalls.slice(3)],
    ended(longer),
  );
  const output = [
    { type: "reasoning", content: [{ text: "Two cities, really." }] },
    { type: "message", content: [{ text: "I look." }] },
    { type: "function_call", name: "weather", arguments: '{"city":"Oslo"}' },
    { type: "function_call", name: "time", arguments: "{}" },
  ];
  expect(events.at(-1)).toMatchObject({ response: { output } });
});

test("how a job ended is told as OpenAI has it, with what it had said", () => {
  const said = [start, delta({ text: "Oslo is" })];
  const lastOf = (changes: Partial<ResponseEnd>, finishReason: GenerationResult["finishReason"] = null) => {
    const { type, response } = streamOf(said, ended({ text: "Oslo is", finishReason }, changes)).at(
      -1,
    ) as ResponseEvent;
    return { type, response };
  };
  const cut = { output: [{ status: "incomplete", content: [{ text: "Oslo is" }] }], completed_at: null };
  expect(lastOf({}, "length")).toMatchObject({
    type: "response.incomplete",
    response: { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, ...cut },
  });
  expect(lastOf({ state: "cancelled" })).toMatchObject({
    type: "response.incomplete",
    response: { status: "cancelled", incomplete_details: null, ...cut },
  });
  const error = { code: "engine_crashed", message: "the engine died", param: null };
  expect(lastOf({ state: "failed", error })).toMatchObject({
    type: "response.failed",
    response: { status: "failed", error: { code: "server_error", message: "the engine died" }, ...cut },
  });
  expect(lastOf({ state: "expired" })).toMatchObject({
    type: "response.failed",
    response: { status: "failed", error: { code: "server_error" }, ...cut },
  });
});

test.each([
  { name: "in one attempt", said: wordsThenCalls },
  {
    name: "over a restart that differs",
    said: [start, delta({ text: "Wait." }), begun(0, "weather"), restart, ...wordsThenCalls.slice(1)],
  },
])("OpenAI's own stream helper puts the response together, $name", async ({ said }) => {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/event-stream");
    for (const event of streamOf(said, wordsAndCalls)) {
      response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "unused", maxRetries: 0 });
  const final = await client.responses.stream({ model: "m", input: "Hi" }).finalResponse();
  expect(final.status).toBe("completed");
  expect(final.output_text).toBe("I look.");
  expect(final.output.map(({ type }) => type)).toEqual([
    "reasoning",
    "message",
    "function_call",
    "function_call",
  ]);
  expect(final.output.at(-2)).toMatchObject({ name: "weather", arguments: '{"city":"Oslo"}' });
});
