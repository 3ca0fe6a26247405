import { expect, test } from "vitest";
import { orderByPrefix } from "./prefix-order.ts";

const chat = (system: string, user: string, tools?: string[]) => ({
  name: `${system} ${user} ${tools ?? ""}`.trim(),
  text: JSON.stringify({
    custom_id: Math.random().toString(),
    body: {
      tools: tools?.map((name) => ({ type: "function", function: { name } })),
      messages: [
        ...(system === "" ? [] : [{ role: "system", content: system }]),
        { role: "user", content: user },
      ],
    },
  }),
});
const named = (lines: { name: string }[]) => lines.map(({ name }) => name);
const CHAT = "/v1/chat/completions";

test("lines with the same instructions, then the same tools, then the same first message are neighbours", () => {
  const lines = [
    chat("judge", "b", ["x"]),
    chat("poet", "a"),
    chat("judge", "a", ["y"]),
    chat("poet", "c"),
    chat("judge", "a", ["x"]),
  ];
  const order = ["judge a x", "judge b x", "judge a y", "poet a", "poet c"];
  expect(named(orderByPrefix(lines, CHAT, "ascending"))).toEqual(order);
  expect(named(orderByPrefix(lines, CHAT, "descending"))).toEqual(order.toReversed());
});

test("prompts to go on from are ordered as they begin", () => {
  const line = (name: string) => ({ name, text: JSON.stringify({ body: { prompt: name } }) });
  const lines = ["def b", "abc", "def a"].map(line);
  expect(named(orderByPrefix(lines, "/v1/completions", "ascending"))).toEqual(["abc", "def a", "def b"]);
});

test("texts to be made vectors of, and what is no line, are in no order of their own", () => {
  const line = (name: string) => ({ name, text: JSON.stringify({ body: { input: name } }) });
  expect(named(orderByPrefix([line("b"), line("a")], "/v1/embeddings", "descending"))).toEqual(["b", "a"]);
  const broken = [
    { name: "1", text: "{" },
    { name: "2", text: null },
    { name: "3", text: `{"body":{"tools":${"[".repeat(50_000)}${"]".repeat(50_000)}}}` },
    { name: "4", text: "[]" },
  ];
  expect(named(orderByPrefix(broken, CHAT, "ascending"))).toEqual(["1", "2", "3", "4"]);
});
