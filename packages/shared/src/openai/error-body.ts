import type { ErrorCode, QuernError } from "../contract/errors.ts";

/** Every error's HTTP status, in one place. */
const STATUS: Record<ErrorCode, number> = {
  invalid_request: 400,
  invalid_json: 400,
  unsupported_parameter: 400,
  body_too_large: 413,
  // OpenAI's clients send it again, as they should: a network that was slow once need not be slow again.
  request_timeout: 408,
  context_length_exceeded: 400,
  forbidden: 403,
  model_not_found: 404,
  job_not_found: 404,
  response_not_found: 404,
  batch_not_found: 404,
  file_not_found: 404,
  route_not_found: 404,
  method_not_allowed: 405,
  deadline_infeasible: 422,
  // Not 408, which OpenAI's clients try again: by then the deadline is further away still.
  deadline_exceeded: 504,
  idempotency_key_reused: 422,
  idempotency_in_flight: 409,
  idempotency_key_expired: 410,
  job_not_retryable: 409,
  batch_not_retryable: 409,
  file_in_use: 409,
  events_expired: 410,
  gateway_overloaded: 503,
  redis_unavailable: 503,
  redis_evicts: 503,
  model_unavailable: 503,
  draining: 503,
  // Not 503: OpenAI's clients try every 5xx again, and would send the whole file; this one is marked not to be (`x-should-retry`).
  file_store_full: 507,
  file_store_unavailable: 503,
  engine_crashed: 500,
  engine_failed: 500,
  stream_diverged: 500,
  // Not 409, which OpenAI's clients try again: what somebody cancelled must not come back.
  job_cancelled: 410,
  // Its record is there, its content is not.
  file_missing: 500,
  internal_error: 500,
  config_invalid: 500,
  catalogue_invalid: 500,
  model_unknown: 500,
  model_file_missing: 500,
  model_file_invalid: 500,
  model_load_failed: 500,
  model_does_not_fit: 500,
  download_failed: 500,
  checksum_mismatch: 500,
  port_in_use: 500,
  redis_unsuitable: 500,
  server_unavailable: 500,
  server_refused: 500,
};

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

/** A code that is none of ours counts as an internal error. */
export function httpStatusOf(code: string): number {
  return Object.hasOwn(STATUS, code) ? STATUS[code as ErrorCode] : 500;
}

/** OpenAI's error shape. */
export function toErrorBody({
  code,
  message,
  param,
}: Pick<QuernError, "message" | "param"> & { code: string }): ErrorBody {
  return { error: { message, type: typeOf(httpStatusOf(code)), param, code } };
}

function typeOf(status: number): string {
  if (status === 403) return "permission_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
