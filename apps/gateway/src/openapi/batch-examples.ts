import type { BatchRecord } from "@quern/shared/contract/batch";
import { batchLineId } from "@quern/shared/contract/batch-line-id";
import { toBatchObject } from "@quern/shared/openai/batch-object";
import { newBatchFields, parseBatchRecord } from "@quern/shared/redis/batch-fields";

/** What the document shows of batches, made by the same translations as the replies themselves. */

export const batchRequest = {
  input_file_id: "file-019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
  endpoint: "/v1/chat/completions",
  completion_window: "24h",
  metadata: { order: "7" },
};

const submitted = parseBatchRecord(
  newBatchFields({
    id: "batch_019aad2f-00b4-7d0e-8c11-5be2f7a90c35",
    tenant: "default",
    endpoint: "/v1/chat/completions",
    inputFileId: batchRequest.input_file_id,
    dedupe: false,
    metadata: batchRequest.metadata,
    outputExpiresAfterSeconds: null,
    retriedFrom: null,
    traceparent: null,
    webhook: null,
    createdAtMs: 1_764_000_000_120,
    expiresAtMs: 1_764_086_400_120,
  }),
) as BatchRecord;

const running: BatchRecord = {
  ...submitted,
  model: "tiny-qwen3",
  status: "in_progress",
  inProgressAtMs: 1_764_000_001_450,
  total: 1_000,
  completed: 412,
  failed: 1,
  usage: { promptTokens: 24_720, completionTokens: 9_064, reasoningTokens: 0, cachedTokens: 16_480 },
  progress: {
    measuredAtMs: 1_764_000_031_450,
    linesPerSecond: 13.8,
    outputTokensPerSecond: 303.6,
    endAtMs: { p50: 1_764_000_074_000, p90: 1_764_000_079_000 },
  },
};

const completed: BatchRecord = {
  ...running,
  status: "completed",
  outputFileId: "file-019aad30-2f6e-7a41-b0d2-90c4d1e5a7f8",
  errorFileId: "file-019aad30-2f6e-7a42-9d0f-1c6b3e8a4d72",
  finalizingAtMs: 1_764_000_073_020,
  completedAtMs: 1_764_000_073_180,
  completed: 999,
  failed: 1,
  usage: { promptTokens: 60_000, completionTokens: 22_000, reasoningTokens: 0, cachedTokens: 40_000 },
  progress: null,
};

export const newBatch = toBatchObject(submitted);
export const runningBatch = toBatchObject(running);
export const completedBatch = toBatchObject(completed);
export const failedBatch = toBatchObject({
  ...submitted,
  status: "failed",
  failedAtMs: 1_764_000_000_980,
  errors: [
    {
      code: "duplicate_custom_id",
      message: "line 12 has the custom_id of line 3",
      param: "custom_id",
      line: 12,
    },
  ],
});
export const retriedBatch = toBatchObject({
  ...submitted,
  id: "batch_019aad31-5c1d-7e55-a3f1-2d9e6c7b8a90",
  inputFileId: "file-019aad31-5c1d-7e55-a3f1-2d9e6c7b8a90",
  createdAtMs: 1_764_000_090_000,
  expiresAtMs: 1_764_086_490_000,
  retriedFrom: submitted.id,
});

const { id, status, model, awaited_model, request_counts, usage, paused_at, progress } = runningBatch;
const line = {
  id: batchLineId({ batchId: id, index: 0 }),
  custom_id: "order 7",
  response: { status_code: 200, request_id: `${id}-0`, body: { object: "chat.completion" } },
  error: null,
};

/** How a batch's events look on the wire, with `?lines=true`. */
export const batchEvents = `retry: 1000

event: progress
data: ${JSON.stringify({ id, status, model, awaited_model, request_counts, usage, paused_at, progress })}

event: line
id: 1024-0
data: ${JSON.stringify(line)}

event: end
id: end
data: ${JSON.stringify(completedBatch)}

`;
