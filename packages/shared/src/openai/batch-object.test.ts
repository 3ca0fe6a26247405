import type { Batch } from "openai/resources/batches";
import { expect, test } from "vitest";
import { batchRecord } from "../contract/batch-record.fixture.ts";
import { pendingWebhook } from "../contract/webhook.ts";
import { type BatchObject, toBatchObject } from "./batch-object.ts";
import { completionWindowText } from "./completion-window.ts";

/** OpenAI's own type says that a field may be absent where its API sends null. */
type AllThere<Shape> = { [Field in keyof Shape]-?: Exclude<Shape[Field], undefined> | null };

/** Compiles as long as every field of OpenAI's is there, with a type that its client knows. */
const asOpenAi = (batch: BatchObject): AllThere<Batch> => batch;

test("a batch that was just submitted: every field is there, null where there is nothing yet", () => {
  expect(asOpenAi(toBatchObject(batchRecord({ metadata: { order: "7" } })))).toEqual({
    id: "batch_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
    object: "batch",
    endpoint: "/v1/chat/completions",
    model: null,
    errors: null,
    input_file_id: "file-1",
    completion_window: "24h",
    status: "validating",
    output_file_id: null,
    error_file_id: null,
    created_at: 1,
    in_progress_at: null,
    expires_at: 86_401,
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    request_counts: { total: 0, completed: 0, failed: 0 },
    usage: {
      input_tokens: 0,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 0,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 0,
    },
    metadata: { order: "7" },
    awaited_model: null,
    paused_at: null,
    dedupe: false,
    retried_from: null,
    progress: null,
    webhook: null,
  });
});

test("the model that it waits for is shown while it is validated", () => {
  const awaitedModel = "qwen3-8b";
  expect(toBatchObject(batchRecord({ awaitedModel })).awaited_model).toBe("qwen3-8b");
  expect(toBatchObject(batchRecord({ awaitedModel, status: "in_progress" })).awaited_model).toBeNull();
});

test("one that has run: counts, tokens, files, and the times of all it went through", () => {
  const batch = toBatchObject(
    batchRecord({
      model: "tiny-qwen3",
      status: "completed",
      dedupe: true,
      retriedFrom: "batch_0",
      outputFileId: "file-2",
      errorFileId: "file-3",
      pausedAtMs: 1_999,
      inProgressAtMs: 2_000,
      finalizingAtMs: 3_000,
      completedAtMs: 4_999,
      total: 10,
      completed: 8,
      failed: 2,
      usage: { promptTokens: 100, completionTokens: 50, reasoningTokens: 20, cachedTokens: 60 },
      progress: {
        measuredAtMs: 2_500,
        linesPerSecond: 1.5,
        outputTokensPerSecond: 20,
        endAtMs: { p50: 5_000, p90: 6_000 },
      },
      webhook: pendingWebhook("https://example.com/hook", "job"),
    }),
  );
  expect(asOpenAi(batch)).toMatchObject({
    model: "tiny-qwen3",
    output_file_id: "file-2",
    error_file_id: "file-3",
    paused_at: 1,
    in_progress_at: 2,
    finalizing_at: 3,
    completed_at: 4,
    request_counts: { total: 10, completed: 8, failed: 2 },
    usage: {
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 60 },
      output_tokens: 50,
      output_tokens_details: { reasoning_tokens: 20 },
      total_tokens: 150,
    },
    dedupe: true,
    retried_from: "batch_0",
    progress: { lines_per_second: 1.5, output_tokens_per_second: 20, estimated_end_at: { p50: 5, p90: 6 } },
    webhook: { url: "https://example.com/hook", status: "pending", last_error: null },
  });
});

test("what is wrong with the input is a list", () => {
  const fault = { code: "invalid_json_line" as const, message: "line 3 is no JSON", param: null, line: 3 };
  const { errors } = toBatchObject(batchRecord({ status: "failed", errors: [fault], failedAtMs: 2_000 }));
  expect(errors).toEqual({ object: "list", data: [fault] });
});

test.each([
  [86_400, "24h"],
  [604_800, "168h"],
  [5_400, "90m"],
  [3_600, "1h"],
])("a window of %i s is %s", (seconds, text) => {
  expect(completionWindowText(seconds)).toBe(text);
});
