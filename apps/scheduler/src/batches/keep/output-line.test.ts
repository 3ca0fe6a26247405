import type { EndedLine } from "@quern/shared/contract/batch";
import type { GenerationResult } from "@quern/shared/contract/generation";
import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import { expect, test } from "vitest";
import { toCopiedLine } from "./copied-line.ts";
import { outputFileIds } from "./output-file-ids.ts";
import { toOutputLine } from "./output-line.ts";

const uuid = "019f0000-1111-7222-8333-444444444444";
const batch = { id: `batch_${uuid}`, endpoint: "/v1/chat/completions", model: "tiny-qwen3" } as const;
const result: GenerationResult = {
  text: "Yes",
  reasoning: "",
  toolCalls: [],
  finishReason: "stop",
  logprobs: null,
  alternatives: [],
};
const line: EndedLine = {
  index: 7,
  customId: "seven",
  copies: 0,
  state: "completed",
  createdAtMs: 5_000,
  endedAtMs: 9_000,
  echoed: null,
  usage: { promptTokens: 30, completionTokens: 4, reasoningTokens: 1, cachedTokens: 20 },
  result,
  error: null,
};
const written = (changes: Partial<EndedLine>) => {
  const { file, text } = toOutputLine(batch, { ...line, ...changes });
  expect(text.endsWith("}\n")).toBe(true);
  return { file, ...JSON.parse(text) };
};

test("what was answered is what the endpoint would have answered", () => {
  expect(written({})).toMatchObject({
    file: "output",
    id: `batch_req_${uuid}_7`,
    custom_id: "seven",
    response: {
      status_code: 200,
      request_id: `batch_${uuid}-7`,
      body: {
        object: "chat.completion",
        model: "tiny-qwen3",
        created: 5,
        choices: [{ message: { content: "Yes" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 30, total_tokens: 34, prompt_tokens_details: { cached_tokens: 20 } },
      },
    },
    error: null,
  });
});

test("a request's own error keeps its HTTP form", () => {
  const error = { code: "invalid_request", message: "no messages", param: "messages" };
  expect(written({ state: "failed", result: null, usage: null, error })).toEqual({
    file: "errors",
    id: `batch_req_${uuid}_7`,
    custom_id: "seven",
    response: {
      status_code: 400,
      request_id: `batch_${uuid}-7`,
      body: { error: { ...error, type: "invalid_request_error" } },
    },
    error: null,
  });
});

test.each([
  [{ state: "failed", error: { code: "engine_crashed", message: "x", param: null } }, "engine_crashed"],
  [{ state: "failed", error: { code: "internal_error", message: "x", param: null } }, "internal_error"],
  [{ state: "failed", error: null }, "internal_error"],
  [{ state: "completed" }, "internal_error"],
  [{ state: "cancelled" }, "batch_cancelled"],
  [{ state: "expired" }, "batch_expired"],
] as const)("%j has no response and the code %s", (changes, code) => {
  expect(written({ result: null, ...changes })).toMatchObject({
    file: "errors",
    response: null,
    error: { code, message: expect.any(String) },
  });
});

test("a response says again what was asked, and errors are in its words", () => {
  const responses = { ...batch, endpoint: "/v1/responses" } as const;
  const body = { model: "tiny-qwen3", input: "Hi", instructions: "be brief", metadata: { a: "b" } };
  const { echoed = null } = parseEndpointRequest("/v1/responses", body, { drawSeed: () => 1 });
  const { text } = toOutputLine(responses, { ...line, echoed });
  expect(JSON.parse(text).response.body).toMatchObject({
    object: "response",
    status: "completed",
    completed_at: 9,
    instructions: "be brief",
    metadata: { a: "b" },
    usage: { input_tokens: 30, input_tokens_details: { cached_tokens: 20 } },
  });
  const copied = JSON.parse(toCopiedLine(text, { batchId: batch.id, index: 9, customId: "nine" }));
  expect(copied.response.body.usage.input_tokens_details.cached_tokens).toBe(30);
  const error = { code: "invalid_request", message: "max_tokens is too large", param: "max_tokens" };
  const failed = toOutputLine(responses, { ...line, state: "failed", result: null, error });
  expect(JSON.parse(failed.text).response.body.error).toMatchObject({ param: "max_output_tokens" });
});

test("what a cancelled line had said goes to no file", () => {
  expect(written({ state: "cancelled" })).toMatchObject({ file: "errors", response: null });
});

test("a copy says what its leader says, under its own name, and that its prompt was cached", () => {
  const { text } = toOutputLine(batch, line);
  const leader = JSON.parse(text);
  const copied = JSON.parse(toCopiedLine(text, { batchId: batch.id, index: 9, customId: "nine" }));
  leader.response.body.usage.prompt_tokens_details.cached_tokens = 30;
  expect(copied).toEqual({ ...leader, id: `batch_req_${uuid}_9`, custom_id: "nine" });
  const failed = toOutputLine(batch, { ...line, state: "expired" });
  expect(JSON.parse(toCopiedLine(failed.text, { batchId: batch.id, index: 9, customId: "n" }))).toMatchObject(
    { custom_id: "n", response: null, error: { code: "batch_expired" } },
  );
});

test("the ids of a batch's files follow from its own", () => {
  const ids = outputFileIds(batch.id);
  expect(outputFileIds(batch.id)).toEqual(ids);
  expect(ids.outputFileId).toMatch(/^file-019f0000-1111-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(ids.errorFileId).not.toBe(ids.outputFileId);
});
