import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { expect, test } from "vitest";
import type { TokenLogprob, ToolCallDelta } from "../contract/generation.ts";
import type { DeltaEvent, TokenEvent } from "../contract/token-event.ts";
import { type ChatChunk, chatChunks } from "./chat-chunks.ts";

const usage = { promptTokens: 3, completionTokens: 2, reasoningTokens: 1, cachedTokens: 0 };
const start: TokenEvent = { type: "start", data: { attempt: 1 } };
const restart: TokenEvent = { type: "restart", data: { attempt: 2 } };
const end: TokenEvent = { type: "end", data: { status: "completed", usage, finish_reason: "stop" } };
const text = (words: string): TokenEvent => ({ type: "delta", data: { text: words } });
const reasoning = (words: string): TokenEvent => ({ type: "delta", data: { reasoning: words } });
const piece = (data: ToolCallDelta, choice?: number): TokenEvent => ({
  type: "delta",
  data: { tool_calls: [data], ...(choice === undefined ? {} : { choice }) },
});
/** The beginning of a call, as the engine says it: id and name, and no arguments yet. */
const begun = (index: number, id: string, name = "f"): TokenEvent =>
  piece({ index, id, type: "function", function: { name } });
const written = (index: number, text: string): TokenEvent => piece({ index, function: { arguments: text } });
const call = (id: string, city = "Oslo", index = 0): TokenEvent =>
  piece({ index, id, type: "function", function: { name: "f", arguments: `{"city": "${city}"}` } });
const tokenOf = (token: string, logprob: number): TokenLogprob => ({
  token,
  logprob,
  bytes: [...Buffer.from(token)],
  top: [],
});
/** Text with the log-probabilities of its tokens, each a little off by `drift`. */
const probable = (tokens: string[], drift = 0): TokenEvent => ({
  type: "delta",
  data: { text: tokens.join(""), logprobs: tokens.map((token, i) => tokenOf(token, -i - drift)) },
});
const other = (index: number, data: DeltaEvent["data"]): TokenEvent => ({
  type: "delta",
  data: { choice: index, ...data },
});

function choicesOf(events: TokenEvent[]): ChatChunk["choices"] {
  const chunks = chatChunks({
    jobId: "job_1",
    model: "m",
    class: "interactive",
    createdAtMs: 5_000,
    choices: 3,
    includeUsage: false,
  });
  return events.flatMap((event) => chunks.next(event)).flatMap(({ choices }) => choices);
}

function deltasOf(events: TokenEvent[]): object[] {
  return choicesOf(events).map(({ delta }) => delta);
}

test("the role first, then what comes, then why it ended", () => {
  const chunks = chatChunks({
    jobId: "job_1",
    model: "m",
    class: "interactive",
    createdAtMs: 5_400,
    choices: 1,
    includeUsage: true,
  });
  const made = [start, reasoning("Hm"), text("Yes"), end].flatMap((event) => chunks.next(event));
  expect(made.map(({ choices }) => choices[0]?.delta)).toEqual([
    { role: "assistant", content: "" },
    { reasoning_content: "Hm" },
    { content: "Yes" },
    {},
    undefined,
  ]);
  expect(made.at(-2)?.choices[0]?.finish_reason).toBe("stop");
  expect(made.at(-1)).toMatchObject({
    id: "chatcmpl-1",
    created: 5,
    choices: [],
    usage: { total_tokens: 5 },
  });
});

test("a new attempt that says the same, cut otherwise, continues the stream unseen", () => {
  const events = [start, reasoning("Hm, m"), text("One two "), restart];
  const again = [reasoning("H"), reasoning("m, maybe."), text("One"), text(" two three"), end];
  expect(deltasOf([...events, ...again])).toEqual([
    { role: "assistant", content: "" },
    { reasoning_content: "Hm, m" },
    { content: "One two " },
    { reasoning_content: "aybe." },
    { content: "three" },
    {},
  ]);
});

test("a new attempt that says something else breaks the stream off", () => {
  expect(() => deltasOf([start, text("One two"), restart, text("One three")])).toThrow(/start again/);
  expect(() => deltasOf([start, call("a"), restart, call("b", "Rome")])).toThrow(/tool calls/);
});

test("a new attempt that ends sooner breaks the stream off as well", () => {
  expect(() => deltasOf([start, text("One two"), restart, text("One"), end])).toThrow(/new text differs/);
  expect(() => deltasOf([start, reasoning("Hm"), restart, text("One"), end])).toThrow(
    /new reasoning differs/,
  );
  expect(() => deltasOf([start, call("a"), restart, end])).toThrow(/new tool calls differ/);
  expect(deltasOf([start, text("One"), restart, text("One"), end])).toHaveLength(3);
});

test("what a divergence says can be acted upon, and tried again", () => {
  const error = thrownBy(() => deltasOf([start, text("a"), restart, text("b")]));
  expect(error).toMatchObject({ code: "stream_diverged", retryable: true });
});

test("text and reasoning are compared apart, however a delta mixes them", () => {
  const mixed: TokenEvent = { type: "delta", data: { reasoning: "Hm", text: "One" } };
  const events = [start, mixed, restart, reasoning("H"), reasoning("m"), text("One more")];
  expect(deltasOf(events).slice(1)).toEqual([
    { reasoning_content: "Hm" },
    { content: "One" },
    { content: " more" },
  ]);
});

test("a delta that cuts a character in two says it once after a restart too", () => {
  const [high, low] = ["\uD834", "\uDD1E"];
  const deltas = deltasOf([start, text(`a${high}`), restart, text(`a${high}${low}`), text("b")]);
  expect(deltas.map((delta) => (delta as { content?: string }).content ?? "").join("")).toBe("a𝄞b");
});

test("a stream joined at a restart begins with the role", () => {
  expect(deltasOf([restart, text("a")])).toEqual([{ role: "assistant", content: "" }, { content: "a" }]);
});

test.each(["cancelled", "expired", "failed"] as const)(
  "a stream that ends %s has every choice, those that said nothing with their role alone",
  (status) => {
    const cutOff: TokenEvent = { type: "end", data: { status, usage: null, finish_reason: null } };
    expect(choicesOf([start, other(1, { text: "Two" }), cutOff])).toMatchObject([
      { index: 0, delta: { role: "assistant", content: "" }, finish_reason: null },
      { index: 1, delta: { role: "assistant", content: "" }, finish_reason: null },
      { index: 1, delta: { content: "Two" }, finish_reason: null },
      { index: 2, delta: { role: "assistant", content: "" }, finish_reason: null },
    ]);
  },
);

test("a job that never began has no choices", () => {
  const data = { status: "cancelled" as const, usage: null, finish_reason: null };
  expect(choicesOf([{ type: "end", data }])).toEqual([]);
});

test("OpenAI's own types take every chunk", () => {
  const chunks = chatChunks({
    jobId: "job_1",
    model: "m",
    class: "interactive",
    createdAtMs: 5_400,
    choices: 1,
    includeUsage: true,
  });
  const made = [start, text("Yes"), call("a"), end].flatMap((event) => chunks.next(event));
  const typed: ChatCompletionChunk[] = made.map((chunk) => ({
    ...chunk,
    choices: chunk.choices.map((choice) => ({
      ...choice,
      finish_reason: choice.finish_reason as ChatCompletionChunk.Choice["finish_reason"],
    })),
  }));
  expect(typed.map(({ usage }) => usage?.total_tokens ?? null)).toEqual([null, null, null, null, 5]);
  expect(typed.every(({ object, id }) => object === "chat.completion.chunk" && id === "chatcmpl-1")).toBe(
    true,
  );
});

test("tool calls are counted, and a repeated one is sent once", () => {
  const deltas = deltasOf([start, call("a"), restart, call("a"), call("b", "Rome", 1)]);
  expect(deltas.slice(1)).toMatchObject([
    { tool_calls: [{ index: 0, id: "a" }] },
    { tool_calls: [{ index: 1, id: "b" }] },
  ]);
});

test("a call's arguments come in pieces, and after a restart only those that are new", () => {
  const pieces = [begun(0, "a"), written(0, '{"city"'), written(0, ': "Os')];
  const again = [begun(0, "b"), written(0, '{"ci'), written(0, 'ty": "Oslo'), written(0, '"}')];
  expect(deltasOf([start, ...pieces, restart, ...again]).slice(1)).toEqual([
    { tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }] },
    { tool_calls: [{ index: 0, function: { arguments: '{"city"' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ': "Os' } }] },
    { tool_calls: [{ index: 0, function: { arguments: "lo" } }] },
    { tool_calls: [{ index: 0, function: { arguments: '"}' } }] },
  ]);
});

test("calls of one answer keep apart, also when their pieces mix", () => {
  const events = [begun(0, "a"), begun(1, "b", "g"), written(1, "{"), written(0, "[")];
  expect(deltasOf([start, ...events, restart, ...events, written(0, "]")]).slice(5)).toEqual([
    { tool_calls: [{ index: 0, function: { arguments: "]" } }] },
  ]);
});

test("a call that is another one after a restart breaks the stream off", () => {
  expect(() => deltasOf([start, begun(0, "a"), restart, begun(0, "a", "g")])).toThrow(/tool calls/);
  expect(() => deltasOf([start, begun(0, "a"), restart, begun(0, "a", "fg")])).toThrow(/tool calls/);
  expect(() => deltasOf([start, begun(0, "a"), restart, text("f"), end])).toThrow(/tool calls/);
  const shorter = [begun(0, "a"), written(0, "{}"), restart, begun(0, "a"), written(0, "{"), end];
  expect(() => deltasOf([start, ...shorter])).toThrow(/tool calls/);
});

test("every choice begins with the role, has its own index and its own end", () => {
  const events = [
    text("One"),
    other(1, { text: "Two", reasoning: "Hm" }),
    other(2, { finish_reason: "length" }),
  ];
  expect(choicesOf([start, ...events, other(1, { finish_reason: "stop" }), end])).toMatchObject([
    { index: 0, delta: { role: "assistant", content: "" }, finish_reason: null },
    { index: 0, delta: { content: "One" }, finish_reason: null },
    { index: 1, delta: { role: "assistant", content: "" }, finish_reason: null },
    { index: 1, delta: { reasoning_content: "Hm" }, finish_reason: null },
    { index: 1, delta: { content: "Two" }, finish_reason: null },
    { index: 2, delta: { role: "assistant", content: "" }, finish_reason: null },
    { index: 2, delta: {}, finish_reason: "length" },
    { index: 1, delta: {}, finish_reason: "stop" },
    { index: 0, delta: {}, finish_reason: "stop" },
  ]);
});

test("a restart is as unseen in the other choices, whichever comes first", () => {
  const before = [text("One"), other(1, { text: "Tw" }), other(2, { text: "x", finish_reason: "stop" })];
  const after = [
    other(2, { text: "x", finish_reason: "stop" }),
    other(1, { text: "Two", finish_reason: "length" }),
    text("One"),
    end,
  ];
  const said = choicesOf([start, ...before, restart, ...after]).slice(7);
  expect(said).toMatchObject([
    { index: 1, delta: { content: "o" } },
    { index: 1, delta: {}, finish_reason: "length" },
    { index: 0, delta: {}, finish_reason: "stop" },
  ]);
  expect(said).toHaveLength(3);
});

test("an ended choice that goes on, or ends otherwise, after a restart breaks the stream off", () => {
  const before = [start, other(1, { text: "x", finish_reason: "stop" }), restart];
  expect(() => deltasOf([...before, other(1, { text: "xy" })])).toThrow(/new length differs/);
  expect(() => deltasOf([...before, other(1, { text: "x", finish_reason: "length" })])).toThrow(
    /new end differs/,
  );
  expect(() => deltasOf([...before, other(1, { finish_reason: "stop" })])).toThrow(/new text differs/);
  expect(() => deltasOf([...before, end])).toThrow(/new text differs/);
});

test("log-probabilities travel with the text they belong to", () => {
  const [, first, second] = choicesOf([start, probable(["On", "e"]), text("."), end]);
  expect(first).toEqual({
    index: 0,
    delta: { content: "One" },
    logprobs: {
      content: [
        { token: "On", logprob: -0, bytes: [79, 110], top_logprobs: [] },
        { token: "e", logprob: -1, bytes: [101], top_logprobs: [] },
      ],
      refusal: null,
    },
    finish_reason: null,
  });
  expect(second?.logprobs).toBeNull();
});

test("after a restart only new tokens have theirs sent, though the old ones' digits differ", () => {
  const events = [probable(["On", "e"]), restart, probable(["On"], 1e-7), probable(["e", " two"], 1e-7)];
  const said = choicesOf([start, ...events]).slice(2);
  expect(said).toHaveLength(1);
  expect(said[0]).toMatchObject({ delta: { content: " two" }, logprobs: { content: [{ token: " two" }] } });
  expect(() => choicesOf([start, probable(["On", "e"]), restart, probable(["O", "ne"])])).toThrow(
    /new tokens differs/,
  );
});

test("a second restart in the middle of repeated text is no difference", () => {
  expect(deltasOf([start, text("abc"), restart, text("a"), restart, text("abcd")]).slice(1)).toEqual([
    { content: "abc" },
    { content: "d" },
  ]);
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
