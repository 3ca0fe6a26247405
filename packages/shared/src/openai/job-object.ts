import type { NoEstimateReason, Quantiles } from "../contract/estimate.ts";
import type { JobClass, JobSummary } from "../contract/job.ts";
import { isTerminal } from "../contract/lifecycle.ts";
import { type ChatUsage, toChatUsage } from "./chat-response.ts";
import { type EndpointResponse, toEndpointResponse } from "./endpoint-response.ts";
import { type ErrorBody, httpStatusOf, toErrorBody } from "./error-body.ts";
import { inWordsOf } from "./field-names.ts";
import { toWebhookObject, type WebhookObject } from "./webhook-object.ts";

/** A job as the API shows it. Times are Unix seconds with milliseconds after the point. */
export interface JobObject {
  id: string;
  object: "job";
  status: JobSummary["state"];
  endpoint: string;
  model: string;
  class: JobClass;
  attempt: number;
  created_at: number;
  started_at: number | null;
  first_token_at: number | null;
  ended_at: number | null;
  /** When it is no longer kept. null: it has not ended. */
  expires_at: number | null;
  /** null: it may take as long as it likes. */
  deadline: number | null;
  /** 1: it is the next one. null unless it is queued. */
  queue_position: number | null;
  /** Half of such jobs begin before `p50`, nine of ten before `p90`. null unless it is queued. */
  estimated_start_at: Quantiles | null;
  /** null when it has ended. */
  estimated_end_at: Quantiles | null;
  /** Why an estimate is missing. */
  estimate_reason: NoEstimateReason | null;
  usage: ChatUsage | null;
  response: JobResponse | null;
  error: { code: string; message: string } | null;
  metadata: Record<string, string>;
  /** The job that it repeats. */
  retried_from: string | null;
  /** Where its end is told, and how far that is; null: nowhere. */
  webhook: WebhookObject | null;
}

/** What a batch's output line holds: the answer that the endpoint would have given. */
export interface JobResponse {
  status_code: number;
  request_id: string;
  body: EndpointResponse | ErrorBody;
}

/** When a job will begin and end, as it looks now. Unix milliseconds; null where nobody can tell. */
export interface JobTimes {
  startAtMs: Quantiles | null;
  endAtMs: Quantiles | null;
  /** null: there is an estimate, or the job has ended. */
  reason: NoEstimateReason | null;
}

export function toJobObject(
  record: JobSummary,
  queuePosition: number | null,
  times: JobTimes | null = null,
): JobObject {
  const { id, model, error } = record;
  // One that waits for its next attempt keeps what the last one said.
  const ended = isTerminal(record.state);
  return {
    id,
    object: "job",
    status: record.state,
    endpoint: record.endpoint,
    model,
    class: record.class,
    attempt: record.attempt,
    created_at: record.createdAtMs / 1_000,
    started_at: secondsOf(record.startedAtMs),
    first_token_at: secondsOf(record.firstTokenAtMs),
    ended_at: secondsOf(record.endedAtMs),
    expires_at: secondsOf(record.expiresAtMs),
    deadline: secondsOf(record.deadlineAtMs),
    queue_position: record.state === "queued" ? queuePosition : null,
    estimated_start_at: quantilesOf(times?.startAtMs ?? null),
    estimated_end_at: quantilesOf(times?.endAtMs ?? null),
    estimate_reason: times?.reason ?? null,
    usage: record.usage === null || !ended ? null : toChatUsage(record.usage),
    response: ended ? responseOf(record) : null,
    error: error === null ? null : { code: error.code, message: error.message },
    metadata: record.metadata,
    webhook: toWebhookObject(record.webhook),
    retried_from: record.retriedFrom,
  };
}

/**
 * A failure of the caller's own is an error body, as in a batch's output. Any other end shows what the job has said: a
 * job that was cancelled, has expired or has failed on our side may have a partial answer. null: it has none.
 */
function responseOf(record: JobSummary): JobResponse | null {
  const { id, error } = record;
  if (error !== null && httpStatusOf(error.code) < 500) {
    return {
      status_code: httpStatusOf(error.code),
      request_id: id,
      body: toErrorBody({ code: error.code, ...inWordsOf(record.endpoint, error) }),
    };
  }
  const body = toEndpointResponse(record);
  return body === null ? null : { status_code: 200, request_id: id, body };
}

function quantilesOf(times: Quantiles | null): Quantiles | null {
  return times === null ? null : { p50: times.p50 / 1_000, p90: times.p90 / 1_000 };
}

function secondsOf(timeMs: number | null): number | null {
  return timeMs === null ? null : timeMs / 1_000;
}
