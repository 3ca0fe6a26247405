import { expect, test } from "vitest";
import { appendDelta, type Delta } from "./delta.ts";

function merged(...deltas: Delta[]): Delta[] {
  const list: Delta[] = [];
  for (const delta of deltas) appendDelta(list, delta);
  return list;
}

const logprob = (token: string) => ({ token, logprob: -1, bytes: [...Buffer.from(token)], top: [] });
const piece = (index: number, text: string): Delta => ({
  tool_calls: [{ index, function: { arguments: text } }],
});
const begin = (index: number): Delta => ({
  tool_calls: [{ index, id: `call_${index}`, type: "function", function: { name: "a", arguments: "" } }],
});

test("neighbours of one kind become one, in order", () => {
  expect(
    merged({ reasoning: "a" }, { reasoning: "b" }, { text: "c" }, { text: "d" }, { reasoning: "e" }),
  ).toEqual([{ reasoning: "ab" }, { text: "cd" }, { reasoning: "e" }]);
});

test("log-probabilities stay with their text", () => {
  expect(
    merged({ text: "a" }, { text: "b", logprobs: [logprob("b")] }, { text: "c", logprobs: [logprob("c")] }),
  ).toEqual([{ text: "abc", logprobs: [logprob("b"), logprob("c")] }]);
});

test("arguments join the call that is being written", () => {
  expect(merged(begin(0), piece(0, "{"), piece(0, "}"), begin(1), piece(1, "{}"))).toEqual([
    { tool_calls: [{ index: 0, id: "call_0", type: "function", function: { name: "a", arguments: "{}" } }] },
    { tool_calls: [{ index: 1, id: "call_1", type: "function", function: { name: "a", arguments: "{}" } }] },
  ]);
});

test("tokens go with the text that they decided", () => {
  const none = { logprob: -1, top: [] };
  const ended = { finishReason: "stop" as const, completionTokens: 5 };
  const spent = { reasoningTokens: 0, promptTokens: 9 };
  expect(
    merged(
      { text: "a", progress: { ...spent, tokens: [1, 2], probabilities: [null, none] } },
      // The first of two that came out together: the second says by which tokens.
      { text: "b" },
      { reasoning: "c", progress: { ...spent, tokens: [3], probabilities: [none] } },
      { reasoning: "d", progress: { ...spent, tokens: [4], probabilities: [null], ended } },
    ),
  ).toEqual([
    { text: "ab", progress: { ...spent, tokens: [1, 2], probabilities: [null, none] } },
    { reasoning: "cd", progress: { ...spent, tokens: [3, 4], probabilities: [none, null], ended } },
  ]);
});

test("choices stay apart, and so does what ended one", () => {
  const deltas: Delta[] = [{ text: "a" }, { choice: 1, text: "b" }, { choice: 1, finish_reason: "stop" }];
  expect(merged(...deltas)).toEqual(deltas);
});

test("what was given stays as it was", () => {
  const first = begin(0);
  const text: Delta = { text: "a", logprobs: [logprob("a")] };
  merged(first, piece(0, "{}"));
  merged(text, text);
  expect(first).toEqual(begin(0));
  expect(text).toEqual({ text: "a", logprobs: [logprob("a")] });
});
