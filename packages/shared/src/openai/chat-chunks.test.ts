import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { expect, test } from "vitest";
import type { TokenEvent } from "../contract/token-event.ts";
import { ChatChunks } from "./chat-chunks.ts";

const usage = { promptTokens: 3, completionTokens: 2, reasoningTokens: 1, cachedTokens: 0 };
const start: TokenEvent = { type: "start", data: { attempt: 1 } };
const restart: TokenEvent = { type: "restart", data: { attempt: 2 } };
const end: TokenEvent = { type: "end", data: { status: "completed", usage, finish_reason: "stop" } };
const text = (words: string): TokenEvent => ({ type: "delta", data: { text: words } });
const reasoning = (words: string): TokenEvent => ({ type: "delta", data: { reasoning: words } });
const call = (id: string, city = "Oslo"): TokenEvent => ({
  type: "delta",
  data: { tool_calls: [{ id, type: "function", function: { name: "f", arguments: `{"city": "${city}"}` } }] },
});

function deltasOf(events: TokenEvent[]): object[] {
  const chunks = new ChatChunks({ jobId: "job_1", model: "m", createdAtMs: 5_000, includeUsage: false });
  return events.flatMap((event) => chunks.next(event)).map(({ choices }) => choices[0]?.delta ?? {});
}

test("the role first, then what comes, then why it ended", () => {
  const chunks = new ChatChunks({ jobId: "job_1", model: "m", createdAtMs: 5_400, includeUsage: true });
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

test("a stream joined at a restart begins with the role; a cancelled one ends without a word", () => {
  const cancelled: TokenEvent = {
    type: "end",
    data: { status: "cancelled", usage: null, finish_reason: null },
  };
  expect(deltasOf([restart, text("a"), cancelled])).toEqual([
    { role: "assistant", content: "" },
    { content: "a" },
  ]);
});

test("OpenAI's own types take every chunk", () => {
  const chunks = new ChatChunks({ jobId: "job_1", model: "m", createdAtMs: 5_400, includeUsage: true });
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
  const deltas = deltasOf([start, call("a"), restart, call("a"), call("b", "Rome")]);
  expect(deltas.slice(1)).toMatchObject([
    { tool_calls: [{ index: 0, id: "a" }] },
    { tool_calls: [{ index: 1, id: "b" }] },
  ]);
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
