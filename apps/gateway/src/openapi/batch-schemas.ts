import { BATCH_FAULT_CODES } from "@quern/shared/contract/batch";
import { BATCH_STATUSES } from "@quern/shared/contract/batch-lifecycle";
import { ENDPOINTS } from "@quern/shared/contract/job";
import { list, nullable, object, orNull, ref, webhook, wholeSeconds } from "./schema-words.ts";

const count = { type: "integer", minimum: 0 };
const nullableWholeSeconds = { ...wholeSeconds, type: ["integer", "null"] };

const requestCounts = {
  ...object({ total: count, completed: count, failed: count }),
  description: "Lines of the input; `total` is 0 until it has been read",
};
const usage = object({
  input_tokens: count,
  input_tokens_details: object({ cached_tokens: count }),
  output_tokens: count,
  output_tokens_details: object({ reasoning_tokens: count }),
  total_tokens: count,
});
const model = { ...nullable("string"), description: "null: the input has not been read yet" };
const awaitedModel = {
  ...nullable("string"),
  description:
    "The model for which it stays `validating`, because no worker serves it yet; null: it waits for none",
};
const status = { enum: BATCH_STATUSES };
const pausedAt = {
  ...nullableWholeSeconds,
  description: "Since when no more of its lines are fed; null: it is not paused",
};
const progress = {
  ...orNull(
    object({
      lines_per_second: { type: "number", description: "Over the last half minute or so" },
      output_tokens_per_second: { type: "number" },
      estimated_end_at: orNull(ref("TimeEstimate")),
    }),
  ),
  description: "null: nothing has been measured yet",
};

/** The shapes of what the Batches API replies. */
export const batchSchemas = {
  Batch: object({
    id: { type: "string" },
    object: { const: "batch" },
    endpoint: { enum: ENDPOINTS },
    model,
    errors: {
      ...orNull(
        object({
          object: { const: "list" },
          data: {
            type: "array",
            items: object({
              code: { enum: BATCH_FAULT_CODES },
              message: { type: "string" },
              param: nullable("string"),
              line: { ...nullable("integer"), description: "From 1; null: it is the file's fault" },
            }),
          },
        }),
      ),
      description: "What is wrong with the input; null: nothing that is known",
    },
    input_file_id: { type: "string" },
    completion_window: { type: "string" },
    status,
    output_file_id: { ...nullable("string"), description: "null: it is not over, or nothing was answered" },
    error_file_id: { ...nullable("string"), description: "null: it is not over, or nothing failed" },
    created_at: wholeSeconds,
    in_progress_at: nullableWholeSeconds,
    expires_at: {
      ...wholeSeconds,
      description: "When its window ends: what is left then fails with `batch_expired`",
    },
    finalizing_at: nullableWholeSeconds,
    completed_at: nullableWholeSeconds,
    failed_at: nullableWholeSeconds,
    expired_at: nullableWholeSeconds,
    cancelling_at: nullableWholeSeconds,
    cancelled_at: nullableWholeSeconds,
    request_counts: requestCounts,
    usage,
    metadata: { type: "object", additionalProperties: { type: "string" } },
    awaited_model: awaitedModel,
    paused_at: pausedAt,
    dedupe: {
      type: "boolean",
      description: "Whether identical lines with one possible answer are computed once",
    },
    retried_from: { ...nullable("string"), description: "The batch whose failed lines it repeats" },
    progress,
    webhook,
  }),
  BatchList: list("Batch", true),
  BatchEvent: {
    description: "The `data` of an event",
    anyOf: [
      {
        title: "progress",
        ...object({
          id: { type: "string" },
          status,
          model,
          awaited_model: awaitedModel,
          request_counts: requestCounts,
          usage,
          paused_at: pausedAt,
          progress,
        }),
      },
      { title: "end", ...ref("Batch") },
      {
        title: "line",
        description: "A line of the output or the error file",
        ...object({
          id: { type: "string" },
          custom_id: { type: "string" },
          response: orNull(
            object({
              status_code: { type: "integer" },
              request_id: { type: "string" },
              body: { type: "object" },
            }),
          ),
          error: orNull(object({ code: { type: "string" }, message: { type: "string" } })),
        }),
      },
    ],
  },
} as const;
