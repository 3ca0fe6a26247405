import type { NumberedTokenEvent, TokenEvent } from "@quern/shared/contract/token-event";
import { expect, test } from "vitest";
import type { Ask } from "../ask.ts";
import type { LedgerEntry } from "../ledger.ts";
import { checkJob } from "./check-job.ts";
import type { FinalJob } from "./final-job.ts";

const ask: Ask = {
  endpoint: "/v1/chat/completions",
  body: {},
  expected: { text: "w1 w2", reasoning: "t1", calls: [], finishReason: "length", completionTokens: 4 },
  choices: 1,
};
const usage = { promptTokens: 3, completionTokens: 4, reasoningTokens: 1, cachedTokens: 0 };
const end: TokenEvent = { type: "end", data: { status: "completed", usage, finish_reason: "length" } };

function numbered(...events: [id: string, event: TokenEvent][]): NumberedTokenEvent[] {
  return events.map(([id, event]) => ({ id, event }));
}

const stream = numbered(
  ["1-1", { type: "start", data: { attempt: 1 } }],
  ["1-2", { type: "delta", data: { reasoning: "t1" } }],
  ["2-3", { type: "delta", data: { text: "w1 w2" } }],
  ["2-4", end],
);

function entry(changes: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    jobId: "job_1",
    ask,
    intent: "wait",
    isHooked: false,
    events: [],
    chunks: [],
    streamEnd: "open",
    reconnects: 0,
    terminalStates: ["completed"],
    ...changes,
  };
}

function final(changes: Partial<FinalJob> = {}): FinalJob {
  const used = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
  const message = { content: "w1 w2", reasoning_content: "t1" };
  const body = { choices: [{ message, finish_reason: "length" }], usage: used };
  return {
    id: "job_1",
    status: "completed",
    attempt: 2,
    usage: used,
    response: { status_code: 200, body },
    error: null,
    ...changes,
  };
}

const seen = stream.map(({ id, event }) => ({ id, event: event.type, data: JSON.stringify(event.data) }));
const chunk = (delta: object) => JSON.stringify({ choices: [{ index: 0, delta }] });

test.each<[string, LedgerEntry, FinalJob | null, NumberedTokenEvent[], string[]]>([
  ["all is well", entry(), final(), stream, []],
  ["read over cuts", entry({ intent: "follow", events: seen }), final(), stream, []],
  ["gone", entry(), null, [], ["lost"]],
  ["still running", entry(), final({ status: "running" }), stream, ["lost"]],
  ["ended as two things", entry({ terminalStates: ["cancelled", "completed"] }), final(), stream, ["twice"]],
  ["two ends", entry(), final(), [...stream, ...numbered(["2-5", end])], ["twice"]],
  ["no end", entry(), final(), stream.slice(0, -1), ["twice"]],
  ["a gap", entry(), final(), stream.map((one, at) => (at < 3 ? one : { ...one, id: "2-5" })), ["wrong"]],
  [
    "a late voice",
    entry(),
    final(),
    stream.map((one, at) => (at < 3 ? one : { ...one, id: "1-4" })),
    ["wrong"],
  ],
  [
    "a word that was read is missing",
    entry({ intent: "follow", events: seen.toSpliced(2, 1) }),
    final(),
    stream,
    ["wrong", "wrong"],
  ],
  [
    "a word was read twice",
    entry({ intent: "follow", events: seen.toSpliced(2, 0, seen[2] as never) }),
    final(),
    stream,
    ["wrong", "wrong"],
  ],
  [
    "nobody cancelled it",
    entry({ terminalStates: ["cancelled"] }),
    final({ status: "cancelled" }),
    withEnd("cancelled"),
    ["wrong"],
  ],
  [
    "cancelled as was asked",
    entry({ intent: "cancel", terminalStates: ["cancelled"] }),
    final({ status: "cancelled" }),
    withEnd("cancelled"),
    [],
  ],
  [
    "failed for nothing",
    entry({ terminalStates: ["failed"] }),
    final({ status: "failed" }),
    withEnd("failed"),
    ["wrong"],
  ],
  [
    "one token too many",
    entry(),
    final({ usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } }),
    stream,
    ["wrong", "wrong"],
  ],
  [
    "a whole stream",
    entry({
      intent: "stream",
      streamEnd: "done",
      chunks: [chunk({ reasoning_content: "t1" }), chunk({ content: "w1 w2" })],
    }),
    final(),
    stream,
    [],
  ],
  [
    "half a stream that says it is whole",
    entry({
      intent: "stream",
      streamEnd: "done",
      chunks: [chunk({ reasoning_content: "t1" }), chunk({ content: "w1" })],
    }),
    final(),
    stream,
    ["wrong"],
  ],
  [
    "half a stream that broke off",
    entry({ intent: "stream", streamEnd: "cut", chunks: [chunk({ reasoning_content: "t1" })] }),
    final(),
    stream,
    [],
  ],
])("%s", (_, ledgerEntry, job, events, kinds) => {
  expect(checkJob(ledgerEntry, job, events).map(({ kind }) => kind)).toEqual(kinds);
});

const two: Ask = { ...ask, choices: 2 };
const cutOff = { message: { content: "w1 w2", reasoning_content: "t1" }, finish_reason: null };
const silent = { message: { content: "" }, finish_reason: null };
function ended(status: string, choices: object[] | null): FinalJob {
  const response = choices === null ? null : { status_code: 200, body: { choices } };
  return final({ status, response: response as FinalJob["response"], error: null });
}

test.each<["cancelled" | "expired" | "failed", object[] | null, number]>([
  ["cancelled", [cutOff, silent], 0],
  ["expired", [cutOff, silent], 0],
  ["cancelled", [cutOff], 1],
  ["expired", [cutOff], 1],
  ["failed", [cutOff], 1],
  ["cancelled", null, 1],
  ["expired", null, 1],
  ["failed", null, 1],
])("a job of two choices that is %s and shows %j", (status, choices, faults) => {
  const intent = status === "expired" ? "expire" : "cancel";
  const of = entry({ ask: two, intent, terminalStates: [status] });
  const found = checkJob(of, ended(status, choices), withEnd(status));
  const ofChoices = found.filter(({ what }) => /of 2 choices|answer is missing/.test(what));
  expect(ofChoices).toHaveLength(faults);
  if (faults === 0) expect(found).toEqual([]);
});

test("a stream that leaves out a choice", () => {
  const told = [chunk({ reasoning_content: "t1" }), chunk({ content: "w1 w2" })];
  const cancelled = JSON.stringify({ error: { code: "job_cancelled" } });
  const chunks = [...told, cancelled];
  const of = entry({
    ask: two,
    intent: "cancel",
    streamEnd: "error",
    chunks,
    terminalStates: ["cancelled"],
  });
  const job = ended("cancelled", [cutOff, silent]);
  const what = (other: LedgerEntry) => checkJob(other, job, withEnd("cancelled")).map((found) => found.what);
  expect(what(of)).toEqual(["its stream left out choices"]);
  const second = JSON.stringify({ choices: [{ index: 1, delta: { content: "" } }] });
  expect(what({ ...of, chunks: [...told, second, cancelled] })).toEqual([]);
});

function withEnd(status: "cancelled" | "expired" | "failed"): NumberedTokenEvent[] {
  return stream.with(3, { id: "2-4", event: { type: "end", data: { status, usage, finish_reason: null } } });
}

test("an answer that is not the one that was known before", () => {
  const other = final();
  const [choice] = other.response?.body.choices ?? [];
  if (choice?.message === undefined) throw new Error("there is a choice");
  choice.message.content = "w1 w3";
  expect(checkJob(entry(), other, stream).map(({ what }) => what)).toEqual([
    "it is another answer",
    "its events don't join to its answer",
  ]);
});

test("what precedes a restart does not count", () => {
  const again = numbered(
    ["1-1", { type: "start", data: { attempt: 1 } }],
    ["1-2", { type: "delta", data: { text: "something else" } }],
    ["2-3", { type: "restart", data: { attempt: 2 } }],
    ["2-4", { type: "delta", data: { reasoning: "t1", text: "w1 w2" } }],
    ["2-5", end],
  );
  expect(checkJob(entry(), final(), again)).toEqual([]);
});
