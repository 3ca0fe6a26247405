import type { ToolCall } from "@quern/shared/contract/generation";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Delta } from "../../../protocol/delta.ts";
import { GenerationOutput, type GenerationOutputOptions } from "./generation-output.ts";

/** A vocabulary made of the test's own tokens: an id is a place in `tokens`, which may cut characters. */
function outputOf(
  tokens: readonly Uint8Array[],
  options: Partial<GenerationOutputOptions> = {},
): GenerationOutput {
  const bytesOf = (token: number) => tokens[token] ?? new Uint8Array();
  return new GenerationOutput({
    begin: "undecided",
    tools: [{ type: "function", function: { name: "a" } }],
    toolCallForm: "hermes",
    toolCallId: (index) => `call_${index}`,
    stop: [],
    detokenize: (ids) => Buffer.concat(ids.map(bytesOf)).toString(),
    tokenBytes: bytesOf,
    choice: 0,
    ...options,
  });
}

/** Pushes every token, its id as its log-probability, and takes deltas out after each. */
function runThrough(output: GenerationOutput, tokens: readonly Uint8Array[]): Delta[] {
  const deltas: Delta[] = [];
  for (const token of tokens.keys()) {
    if (output.stopped) break;
    output.push(token, { logprob: -token, top: [{ token, logprob: -token }] });
    deltas.push(...output.takeUnsent({ promptTokens: 9, ended: null }));
  }
  if (!output.stopped) output.end();
  deltas.push(...output.takeUnsent({ promptTokens: 9, ended: null }));
  return deltas;
}

const utf8 = (pieces: readonly string[]) => pieces.map((piece) => Uint8Array.from(Buffer.from(piece)));
const contentTokens = (logprobs: { logprob: number }[] | null) => logprobs?.map(({ logprob }) => -logprob);

test("log-probabilities are those of the content's tokens, each with the text that releases it", () => {
  const tokens = [
    ...utf8(["<think>", "\nHm", "</think>", "\n\n", "Yes", " EN"]),
    ...[...Buffer.from("é")].map((byte) => Uint8Array.of(byte)),
    ...utf8(["<tool_call>", '{"name":"a","arguments":{}}', "</tool_call>", "end", " of E", "ND", "more"]),
  ];
  const output = outputOf(tokens, { stop: ["END"] });
  const deltas = runThrough(output, tokens);
  expect(
    deltas.map(({ text, logprobs }) => [text, contentTokens(logprobs ?? null)]).filter(([text]) => text),
  ).toEqual([
    ["Yes", [4]],
    [" ", [5]],
    ["ENé", [6, 7]],
    ["end", [11]],
    [" of ", [12]],
  ]);
  expect(contentTokens(output.result().logprobs)).toEqual([4, 5, 6, 7, 11, 12]);
  expect(output.result().logprobs?.[2]).toEqual({
    token: "\uFFFD",
    logprob: -6,
    bytes: [0xc3],
    top: [{ token: "\uFFFD", logprob: -6, bytes: [0xc3] }],
  });
});

test("without log-probabilities there are none", () => {
  const tokens = utf8(["a", "b"]);
  const output = outputOf(tokens, { tokenBytes: null });
  expect(runThrough(output, tokens)).toEqual([
    { text: "a", progress: { tokens: [0], reasoningTokens: 0, promptTokens: 9 } },
    { text: "b", progress: { tokens: [1], reasoningTokens: 0, promptTokens: 9 } },
  ]);
  expect(output.result().logprobs).toBeNull();
});

test("reasoning is counted in tokens, and later choices say which they are", () => {
  const tokens = utf8(["<think>", "I", " add", "</think>", "4"]);
  const output = outputOf(tokens, { choice: 2, tokenBytes: null });
  expect(runThrough(output, tokens)).toEqual([
    { choice: 2, reasoning: "I", progress: { tokens: [0, 1], reasoningTokens: 2, promptTokens: 9 } },
    { choice: 2, reasoning: " add", progress: { tokens: [2], reasoningTokens: 1, promptTokens: 9 } },
    { choice: 2, text: "4", progress: { tokens: [3, 4], reasoningTokens: 1, promptTokens: 9 } },
  ]);
  expect(output.reasoningTokens).toBe(4);
});

const fragments = fc.constantFrom(
  "<think>",
  "</think>",
  "<tool_call>",
  "</tool_call>",
  '{"name": "a", "arguments": {"x": "',
  '"}}',
  "<function=a>",
  "<parameter=x>",
  "</parameter>",
  "</function>",
  "\n",
  "<",
  "END",
  "EN",
  "STOP",
  "é",
  "😀",
  "\uFFFD",
  "word ",
);
const outputs = fc.record({
  text: fc.array(fragments, { maxLength: 14 }).map((pieces) => pieces.join("")),
  cuts: fc.array(fc.nat({ max: 200 }), { maxLength: 24 }),
  stop: fc.subarray(["END", "STOP", "NEND", "<", "é"], { maxLength: 2 }),
  form: fc.constantFrom("hermes" as const, "xml" as const),
  begin: fc.constantFrom("undecided" as const, "thinking" as const, "answering" as const),
});

/** Anywhere, inside of characters too. */
function cutAnywhere(text: string, cuts: readonly number[]): Uint8Array[] {
  const bytes = Uint8Array.from(Buffer.from(text));
  const borders = [...new Set([0, ...cuts, bytes.length])]
    .filter((at) => at <= bytes.length)
    .sort((a, b) => a - b);
  return borders.slice(1).map((to, index) => bytes.slice(borders[index], to));
}

function toolCallsOf(deltas: readonly Delta[]): ToolCall[] {
  const calls: ToolCall[] = [];
  for (const { index, id = "", function: called } of deltas.flatMap(({ tool_calls = [] }) => tool_calls)) {
    const call = calls[index];
    if (call !== undefined) call.function.arguments += called.arguments ?? "";
    else
      calls.push({
        id,
        type: "function",
        function: { name: called.name ?? "", arguments: called.arguments ?? "" },
      });
  }
  return calls;
}

test("however tokens cut the output, the deltas add up to one and the same result", () => {
  fc.assert(
    fc.property(outputs, ({ text, cuts, stop, form, begin }) => {
      const options = { stop, toolCallForm: form, begin } as const;
      const tokens = cutAnywhere(text, cuts);
      const output = outputOf(tokens, options);
      const deltas = runThrough(output, tokens);
      const result = output.result();

      expect(deltas.map((delta) => delta.text ?? "").join("")).toBe(result.text);
      expect(deltas.map((delta) => delta.reasoning ?? "").join("")).toBe(result.reasoning);
      expect(toolCallsOf(deltas)).toEqual(result.toolCalls);
      expect(deltas.flatMap((delta) => delta.logprobs ?? [])).toEqual(result.logprobs);
      for (const string of stop) expect(result.text).not.toContain(string);

      const whole = utf8(text === "" ? [] : [text]);
      const inOne = outputOf(whole, options);
      runThrough(inOne, whole);
      expect({ ...result, logprobs: [] }).toEqual({ ...inOne.result(), logprobs: [] });
    }),
    { numRuns: 3_000 },
  );
});

test("each character of the content has its token, in order, and no token comes twice", () => {
  fc.assert(
    fc.property(outputs, ({ text, cuts, stop, begin }) => {
      const tokens = cutAnywhere(text, cuts);
      const output = outputOf(tokens, { stop, begin });
      runThrough(output, tokens);
      const result = output.result();
      const ids = contentTokens(result.logprobs) ?? [];
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
      const spelled = Buffer.concat(ids.map((id) => tokens[id] ?? new Uint8Array())).toString();
      let at = 0;
      for (const character of result.text) {
        at = spelled.indexOf(character, at);
        expect(at, `${JSON.stringify(character)} of ${JSON.stringify(result.text)}`).not.toBe(-1);
        at += character.length;
      }
    }),
    { numRuns: 1_000 },
  );
});
