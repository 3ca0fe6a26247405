import type { Usage } from "../contract/generation.ts";
import type { JobError, JobSummary } from "../contract/job.ts";
import { isTerminal, type JobState } from "../contract/lifecycle.ts";
import { httpStatusOf, toErrorBody } from "./error-body.ts";
import { inWordsOf } from "./field-names.ts";
import { responseIdOf } from "./response-id.ts";
import { type ResponsesEcho, readEcho } from "./responses-echo.ts";
import { type OutputItem, outputItemsOf } from "./responses-output.ts";
import { tierOfClass, type UsedTier } from "./service-tier.ts";

/** OpenAI's response object. https://platform.openai.com/docs/api-reference/responses/object */
export interface ResponseObject extends ResponsesEcho {
  id: string;
  object: "response";
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds; null unless it has completed. */
  completed_at: number | null;
  status: ResponseStatus;
  error: ResponseError | null;
  incomplete_details: { reason: "max_output_tokens" } | null;
  model: string;
  service_tier: UsedTier;
  /** Empty until it has ended. */
  output: OutputItem[];
  /** null until it has ended. */
  usage: ResponseUsage | null;
  access_programs: null;
}

export type ResponseStatus = "queued" | "in_progress" | "completed" | "incomplete" | "failed" | "cancelled";

/** OpenAI has two codes for what may happen here; `type` is that of an error body. */
interface ResponseError {
  code: "invalid_prompt" | "server_error";
  message: string;
  param: string | null;
  type: string;
}

interface ResponseUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: 0 };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

/** What of a job makes its response, and stays as it is. */
export type ResponseHead = Pick<JobSummary, "id" | "model" | "class" | "createdAtMs" | "echoed">;
/** What of a job tells how its response ended. */
export type ResponseEnd = Pick<JobSummary, "state" | "endedAtMs" | "result" | "usage" | "error">;

/** A response as it stands. @param job one of `/v1/responses`. */
export function toResponse(job: ResponseHead & ResponseEnd): ResponseObject {
  const { result, usage } = job;
  const generated = result === null || "vectors" in result ? null : result;
  const status = statusOf(job.state, generated?.finishReason ?? null);
  // What a job that waits for its next attempt has said is not its answer yet.
  const ended = isTerminal(job.state);
  const cutOff = status !== "completed";
  return {
    ...responseHead(job, status),
    completed_at: status === "completed" && job.endedAtMs !== null ? Math.floor(job.endedAtMs / 1_000) : null,
    error: errorOf(job),
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    output: ended && generated !== null ? outputItemsOf(job.id, generated, { cutOff }) : [],
    usage: ended && usage !== null ? toResponseUsage(usage) : null,
  };
}

/** A response that has said nothing yet. */
export function responseHead(
  { id, model, class: jobClass, createdAtMs, echoed }: ResponseHead,
  status: ResponseStatus,
): ResponseObject {
  return {
    id: responseIdOf(id),
    object: "response",
    created_at: Math.floor(createdAtMs / 1_000),
    completed_at: null,
    status,
    error: null,
    incomplete_details: null,
    model,
    service_tier: tierOfClass(jobClass),
    output: [],
    usage: null,
    access_programs: null,
    ...readEcho(echoed),
  };
}

const STATUS: Record<JobState, ResponseStatus> = {
  queued: "queued",
  running: "in_progress",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  // OpenAI's responses have no deadlines. One that missed its own is no answer, though its beginning is kept.
  expired: "failed",
};

function statusOf(state: JobState, finishReason: string | null): ResponseStatus {
  return state === "completed" && finishReason === "length" ? "incomplete" : STATUS[state];
}

const EXPIRED: JobError = {
  code: "deadline_exceeded",
  message: "the deadline passed before the response had ended",
  param: null,
};

function errorOf({ state, error: own }: ResponseEnd): ResponseError | null {
  const error = state === "expired" ? EXPIRED : own;
  if (error === null) return null;
  const { code: ours, ...told } = error;
  const { message, param, type } = toErrorBody({ code: ours, ...inWordsOf("/v1/responses", told) }).error;
  const code = httpStatusOf(ours) < 500 ? "invalid_prompt" : "server_error";
  return { code, message, param, type };
}

export function toResponseUsage(usage: Usage): ResponseUsage {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens, cache_write_tokens: 0 },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}
