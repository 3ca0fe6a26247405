import type OpenAI from "openai";
import { expect, test } from "vitest";
import type { GenerationResult } from "../contract/generation.ts";
import { generationRequest } from "../contract/generation-request.fixture.ts";
import { type JobRecord, jobRecordSchema } from "../contract/job.ts";
import { jobRecord } from "../contract/job-record.fixture.ts";
import { toEndpointResponse } from "./endpoint-response.ts";
import { inWordsOf } from "./field-names.ts";
import { toJobObject } from "./job-object.ts";
import { messagesAfter } from "./responses-follow-up.ts";
import { parseResponsesRequest } from "./responses-request.ts";
import { toResponse } from "./responses-response.ts";

const ID = "019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41";
const body = {
  model: "m",
  input: "Hi",
  instructions: "Be short.",
  metadata: { a: "b" },
  max_output_tokens: 9,
};
const { echoed, generationAfter } = parseResponsesRequest(body, { drawSeed: () => 1 });

const said: GenerationResult = {
  text: "Hello.",
  reasoning: "A greeting.",
  toolCalls: [{ id: "call_0", type: "function", function: { name: "wave", arguments: "{}" } }],
  finishReason: "stop",
  logprobs: [
    { token: "Hello.", logprob: -0.5, bytes: [72], top: [{ token: "Hi", logprob: -1, bytes: [72] }] },
  ],
  alternatives: [],
};
const usage = { promptTokens: 3, completionTokens: 9, reasoningTokens: 2, cachedTokens: 1 };

function job(changes: Partial<JobRecord> = {}): JobRecord {
  return jobRecord({
    id: `job_${ID}`,
    endpoint: "/v1/responses",
    request: generationAfter([]),
    echoed,
    createdAtMs: 5_400,
    ...changes,
  });
}
const completed = job({ state: "completed", endedAtMs: 7_900, result: said, usage });

test("a job that has completed is OpenAI's response", () => {
  const response = toResponse(completed);
  // The compiler holds it against the client's own type, which computes `output_text`.
  const typed: Omit<OpenAI.Responses.Response, "output_text"> = {
    ...response,
    user: "",
    usage: response.usage as NonNullable<typeof response.usage>,
    reasoning: null,
    text: {},
    tools: [],
    tool_choice: "auto",
  };
  expect(typed.object).toBe("response");
  expect(response).toMatchObject({
    id: `resp_${ID}`,
    created_at: 5,
    completed_at: 7,
    status: "completed",
    instructions: "Be short.",
    metadata: { a: "b" },
    max_output_tokens: 9,
    service_tier: "default",
    usage: {
      input_tokens: 3,
      input_tokens_details: { cached_tokens: 1 },
      output_tokens: 9,
      output_tokens_details: { reasoning_tokens: 2 },
      total_tokens: 12,
    },
  });
  expect(response.output).toEqual([
    {
      id: `rs_${ID}`,
      type: "reasoning",
      status: "completed",
      summary: [],
      content: [{ type: "reasoning_text", text: "A greeting." }],
    },
    {
      id: `msg_${ID}`,
      type: "message",
      status: "completed",
      role: "assistant",
      content: [
        {
          type: "output_text",
          text: "Hello.",
          annotations: [],
          logprobs: [
            {
              token: "Hello.",
              logprob: -0.5,
              bytes: [72],
              top_logprobs: [{ token: "Hi", logprob: -1, bytes: [72] }],
            },
          ],
        },
      ],
    },
    {
      id: `fc_${ID}`,
      type: "function_call",
      status: "completed",
      call_id: "call_0",
      name: "wave",
      arguments: "{}",
    },
  ]);
});

test("one that has not ended shows nothing of what an attempt has said", () => {
  expect(toResponse(job())).toMatchObject({ status: "queued", output: [], usage: null, error: null });
  expect(toResponse(job({ state: "running" })).status).toBe("in_progress");
  const handedBack = toResponse(job({ result: said, usage }));
  expect(handedBack).toMatchObject({ status: "queued", output: [], usage: null });
});

test("a fault of the caller's is an invalid prompt, in the words of this endpoint", () => {
  const error = { code: "context_length_exceeded", message: "max_tokens is 5", param: "messages[0]" };
  expect(toResponse(job({ state: "failed", error })).error).toEqual({
    code: "invalid_prompt",
    message: "max_output_tokens is 5",
    param: "input[0]",
    type: "invalid_request_error",
  });
  expect(inWordsOf("/v1/chat/completions", error)).toEqual({
    message: "max_tokens is 5",
    param: "messages[0]",
  });
});

test("the job's object holds it, as any endpoint's answer", () => {
  expect(toEndpointResponse(completed)).toEqual(toResponse(completed));
  expect(toJobObject(completed, null).response).toMatchObject({
    status_code: 200,
    body: { object: "response" },
  });
});

test("what follows goes on from all that was asked and said, but the instructions", () => {
  expect(messagesAfter(completed)).toEqual([
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello.", reasoning_content: "A greeting.", tool_calls: said.toolCalls },
  ]);
  const led = parseResponsesRequest(
    {
      ...body,
      input: [
        { role: "developer", content: "In metres." },
        { role: "user", content: "Hi" },
      ],
    },
    { drawSeed: () => 1 },
  );
  const after = messagesAfter({ ...completed, request: led.generationAfter([]), echoed: led.echoed });
  expect(after?.slice(0, 2)).toEqual([
    { role: "system", content: "In metres." },
    { role: "user", content: "Hi" },
  ]);
  expect(messagesAfter({ ...completed, state: "running" })).toBeNull();
  expect(messagesAfter({ ...completed, state: "failed", result: null })).toBeNull();
});

test("records of before there were responses are read as ever", () => {
  const { echoed: _, ...older } = jobRecord({ request: generationRequest() });
  expect(jobRecordSchema.parse(older).echoed).toBeNull();
});
