import { expect, test } from "vitest";
import { jobRecord } from "../contract/job-record.fixture.ts";
import { toJobObject } from "./job-object.ts";

const record = jobRecord({
  metadata: { order: "7" },
  createdAtMs: 1_500,
  queuedAtMs: 1_500,
  retentionSeconds: 86_400,
  eventsRetentionSeconds: 86_400,
});
const usage = { promptTokens: 3, completionTokens: 2, reasoningTokens: 1, cachedTokens: 0 };

const EMPTY = { text: "", reasoning: "", toolCalls: [], finishReason: null, logprobs: null };

test("a queued job has a place in its queue and no answer", () => {
  const times = {
    startAtMs: { p50: 2_500, p90: 3_000 },
    endAtMs: { p50: 4_000, p90: 5_250 },
    reason: null,
  };
  expect(toJobObject({ ...record, deadlineAtMs: 9_500 }, 4, times)).toEqual({
    id: "job_1",
    object: "job",
    status: "queued",
    endpoint: "/v1/chat/completions",
    model: "m",
    class: "interactive",
    attempt: 0,
    created_at: 1.5,
    started_at: null,
    first_token_at: null,
    ended_at: null,
    expires_at: null,
    deadline: 9.5,
    queue_position: 4,
    estimated_start_at: { p50: 2.5, p90: 3 },
    estimated_end_at: { p50: 4, p90: 5.25 },
    estimate_reason: null,
    usage: null,
    response: null,
    error: null,
    metadata: { order: "7" },
    webhook: null,
    retried_from: null,
  });
});

test("a completed job's response is what the endpoint would have answered", () => {
  const result = {
    text: "Yes",
    reasoning: "Hm",
    toolCalls: [],
    finishReason: "stop" as const,
    logprobs: null,
    alternatives: [],
  };
  const job = toJobObject({ ...record, state: "completed", usage, result }, null);
  expect(job.queue_position).toBeNull();
  expect(job.response).toMatchObject({
    status_code: 200,
    body: {
      id: "chatcmpl-1",
      choices: [{ message: { content: "Yes", reasoning_content: "Hm" }, finish_reason: "stop" }],
      usage: { total_tokens: 5 },
    },
  });
});

test("a failure of ours shows what the job had said, one of the caller's its error", () => {
  const failed = (code: string) => {
    const error = { code, message: "why", param: null };
    const result = { ...EMPTY, text: "One", alternatives: [EMPTY] };
    const usage = { promptTokens: 5, completionTokens: 2, reasoningTokens: 0, cachedTokens: 0 };
    return toJobObject({ ...record, state: "failed", error, result, usage }, null);
  };
  const choices = [{ message: { content: "One" } }, { message: { content: "" }, finish_reason: null }];
  expect(failed("engine_crashed")).toMatchObject({
    error: { code: "engine_crashed" },
    response: { status_code: 200, body: { choices } },
  });
  expect(failed("context_length_exceeded")).toMatchObject({ response: { status_code: 400 } });
});

test("a failure of the caller's is a response, one of ours without an answer is not; both are errors", () => {
  const failed = (code: string) =>
    toJobObject({ ...record, state: "failed", error: { code, message: "why", param: "messages" } }, null);
  expect(failed("context_length_exceeded")).toMatchObject({
    error: { code: "context_length_exceeded", message: "why" },
    response: { status_code: 400, body: { error: { type: "invalid_request_error", param: "messages" } } },
  });
  expect(failed("engine_crashed")).toMatchObject({ error: { code: "engine_crashed" }, response: null });
});
