import type { BatchFault, BatchProgress, BatchRecord } from "../contract/batch.ts";
import type { Quantiles } from "../contract/estimate.ts";
import type { Usage } from "../contract/generation.ts";
import { completionWindowText } from "./completion-window.ts";
import { toWebhookObject, type WebhookObject } from "./webhook-object.ts";

/**
 * A batch as the API shows it: OpenAI's fields (https://platform.openai.com/docs/api-reference/batch/object), all of them
 * there, null where there is nothing, and Quern's own. Times are whole Unix seconds.
 */
export interface BatchObject {
  id: string;
  object: "batch";
  endpoint: string;
  /** null: its input has not been read yet. */
  model: string | null;
  /** What is wrong with its input; null: nothing that is known. */
  errors: { object: "list"; data: BatchFault[] } | null;
  input_file_id: string;
  completion_window: string;
  status: BatchRecord["status"];
  /** null: it is not over, or nothing was answered. */
  output_file_id: string | null;
  /** null: it is not over, or nothing failed. */
  error_file_id: string | null;
  created_at: number;
  in_progress_at: number | null;
  expires_at: number;
  finalizing_at: number | null;
  completed_at: number | null;
  failed_at: number | null;
  expired_at: number | null;
  cancelling_at: number | null;
  cancelled_at: number | null;
  request_counts: { total: number; completed: number; failed: number };
  usage: BatchUsage;
  metadata: Record<string, string>;
  // Quern's own
  /** The model for which it stays `validating`, because no worker serves it yet; null: it waits for none. */
  awaited_model: string | null;
  /** Since when none of its lines are begun; null: it is not paused. */
  paused_at: number | null;
  dedupe: boolean;
  /** The batch whose failed lines it repeats. */
  retried_from: string | null;
  /** null: there is nothing to tell it by. */
  progress: BatchProgressObject | null;
  webhook: WebhookObject | null;
}

export interface BatchUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

export interface BatchProgressObject {
  lines_per_second: number;
  output_tokens_per_second: number;
  /** Half of such batches end before `p50`, nine of ten before `p90`. */
  estimated_end_at: Quantiles | null;
}

export function toBatchObject(record: BatchRecord): BatchObject {
  const { id, endpoint, model, status, total, completed, failed } = record;
  return {
    id,
    object: "batch",
    endpoint,
    model,
    errors: record.errors.length === 0 ? null : { object: "list", data: record.errors },
    input_file_id: record.inputFileId,
    completion_window: completionWindowText((record.expiresAtMs - record.createdAtMs) / 1_000),
    status,
    output_file_id: record.outputFileId,
    error_file_id: record.errorFileId,
    created_at: seconds(record.createdAtMs),
    in_progress_at: secondsOrNull(record.inProgressAtMs),
    expires_at: seconds(record.expiresAtMs),
    finalizing_at: secondsOrNull(record.finalizingAtMs),
    completed_at: secondsOrNull(record.completedAtMs),
    failed_at: secondsOrNull(record.failedAtMs),
    expired_at: secondsOrNull(record.expiredAtMs),
    cancelling_at: secondsOrNull(record.cancellingAtMs),
    cancelled_at: secondsOrNull(record.cancelledAtMs),
    request_counts: { total, completed, failed },
    usage: toBatchUsage(record.usage),
    metadata: record.metadata,
    awaited_model: status === "validating" ? record.awaitedModel : null,
    paused_at: secondsOrNull(record.pausedAtMs),
    dedupe: record.dedupe,
    retried_from: record.retriedFrom,
    progress: toProgressObject(record.progress),
    webhook: toWebhookObject(record.webhook),
  };
}

function toBatchUsage({ promptTokens, completionTokens, reasoningTokens, cachedTokens }: Usage): BatchUsage {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}

function toProgressObject(progress: BatchProgress | null): BatchProgressObject | null {
  if (progress === null) return null;
  const { linesPerSecond, outputTokensPerSecond, endAtMs } = progress;
  return {
    lines_per_second: linesPerSecond,
    output_tokens_per_second: outputTokensPerSecond,
    estimated_end_at: endAtMs === null ? null : { p50: seconds(endAtMs.p50), p90: seconds(endAtMs.p90) },
  };
}

function secondsOrNull(timeMs: number | null): number | null {
  return timeMs === null ? null : seconds(timeMs);
}

/** Whole ones, which is what OpenAI's own are. */
function seconds(timeMs: number): number {
  return Math.floor(timeMs / 1_000);
}
