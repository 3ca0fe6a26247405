import type { Completion } from "openai/resources/completions";
import { expect, test } from "vitest";
import type { TokenLogprob } from "../contract/generation.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import { completionChunks } from "./completion-chunks.ts";
import { toTextCompletion } from "./completion-response.ts";

const usage = { promptTokens: 3, completionTokens: 4, reasoningTokens: 0, cachedTokens: 1 };
const start: TokenEvent = { type: "start", data: { attempt: 1 } };
const end: TokenEvent = { type: "end", data: { status: "completed", usage, finish_reason: "length" } };

function delta(text: string, logprobs?: TokenLogprob[], choice?: number): TokenEvent {
  return {
    type: "delta",
    data: {
      text,
      ...(logprobs === undefined ? {} : { logprobs }),
      ...(choice === undefined ? {} : { choice }),
    },
  };
}

function token(bytes: Buffer, logprob = -1): TokenLogprob {
  const top = [{ token: "other", logprob: -0.5, bytes: [...Buffer.from("other")] }];
  return { token: bytes.toString(), logprob, bytes: [...bytes], top };
}

/** A smile of four bytes, of which no token has all. */
const SMILE = Buffer.from("🙂");
const TOKENS = [
  token(Buffer.from("é!")),
  token(SMILE.subarray(0, 2)),
  token(SMILE.subarray(2)),
  token(Buffer.from("z")),
];
const LOGPROBS = {
  tokens: ["é!", "\uFFFD", "\uFFFD\uFFFD", "z"],
  token_logprobs: [-1, -1, -1, -1],
  top_logprobs: TOKENS.map(({ token: taken }) => ({ other: -0.5, [taken]: -1 })),
  text_offset: [0, 2, 2, 3],
};

function chunksOf(events: TokenEvent[], includeUsage = false) {
  const chunks = completionChunks({
    jobId: "job_1",
    model: "m",
    createdAtMs: 5_400,
    includeUsage,
    choices: 2,
  });
  return events.flatMap((event) => chunks.next(event));
}

test("a whole completion has its log-probabilities side by side, and offsets in characters", () => {
  const text = {
    text: "é!🙂z",
    reasoning: "",
    toolCalls: [],
    logprobs: TOKENS,
    finishReason: "stop" as const,
  };
  const second = { ...text, text: "b", logprobs: null, finishReason: "length" as const };
  const result = { ...text, alternatives: [second] };
  const whole: Completion = toTextCompletion({
    jobId: "job_1",
    model: "m",
    createdAtMs: 5_400,
    result,
    usage,
  }) as Completion;
  expect(whole).toEqual({
    id: "cmpl-1",
    object: "text_completion",
    created: 5,
    model: "m",
    choices: [
      { index: 0, text: "é!🙂z", logprobs: LOGPROBS, finish_reason: "stop" },
      { index: 1, text: "b", logprobs: null, finish_reason: "length" },
    ],
    usage: {
      prompt_tokens: 3,
      completion_tokens: 4,
      total_tokens: 7,
      prompt_tokens_details: { cached_tokens: 1 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
  });
});

test("a stream is text from its first chunk on, with the usage last", () => {
  const chunks = chunksOf([start, delta("a"), delta("b", undefined, 1), end], true);
  expect(chunks.map(({ choices, usage: counted }) => [choices, counted?.total_tokens])).toEqual([
    [[{ index: 0, text: "a", logprobs: null, finish_reason: null }], undefined],
    [[{ index: 1, text: "b", logprobs: null, finish_reason: null }], undefined],
    [[{ index: 0, text: "", logprobs: null, finish_reason: "length" }], undefined],
    [[], 7],
  ]);
  for (const { id, object, created } of chunks) {
    expect({ id, object, created }).toEqual({ id: "cmpl-1", object: "text_completion", created: 5 });
  }
});

test("a stream that was cut off has every choice, those that said nothing with an empty text", () => {
  const cutOff: TokenEvent = { type: "end", data: { status: "expired", usage: null, finish_reason: null } };
  const empty = { text: "", logprobs: null, finish_reason: null };
  expect(chunksOf([start, delta("a"), cutOff]).flatMap(({ choices }) => choices)).toEqual([
    { ...empty, index: 0, text: "a" },
    { ...empty, index: 1 },
  ]);
  expect(chunksOf([start, cutOff]).flatMap(({ choices }) => choices)).toEqual([
    { ...empty, index: 0 },
    { ...empty, index: 1 },
  ]);
});

test("offsets go on from chunk to chunk, also over a restart", () => {
  const halves = [delta("é!", TOKENS.slice(0, 1)), delta("🙂z", TOKENS.slice(1))];
  const restart: TokenEvent = { type: "restart", data: { attempt: 2 } };
  for (const events of [halves, [halves[0] as TokenEvent, restart, ...halves]]) {
    const offsets = chunksOf([start, ...events, end]).flatMap(
      ({ choices }) => choices[0]?.logprobs?.text_offset ?? [],
    );
    expect(offsets).toEqual(LOGPROBS.text_offset);
  }
});

test("a token whose text is the name of a built-in property is a key like any other", () => {
  const chunks = chunksOf([start, delta("__proto__", [token(Buffer.from("__proto__"))])]);
  const [top] = chunks[0]?.choices[0]?.logprobs?.top_logprobs ?? [];
  expect(JSON.stringify(top)).toBe('{"other":-0.5,"__proto__":-1}');
});
