/** Every failure Quern can name. The HTTP status of each stands in `openai/error-body.ts`. */
export type ErrorCode =
  // the request
  | "invalid_request"
  | "invalid_json"
  | "unsupported_parameter"
  | "body_too_large"
  | "request_timeout"
  | "forbidden"
  | "method_not_allowed"
  | "context_length_exceeded"
  | "model_not_found"
  | "job_not_found"
  | "response_not_found"
  | "batch_not_found"
  | "file_not_found"
  | "route_not_found"
  | "deadline_infeasible"
  | "deadline_exceeded"
  | "idempotency_key_reused"
  | "idempotency_in_flight"
  | "idempotency_key_expired"
  | "job_not_retryable"
  | "batch_not_retryable"
  | "file_in_use"
  | "events_expired"
  // capacity
  | "gateway_overloaded"
  | "redis_unavailable"
  | "redis_evicts"
  | "model_unavailable"
  | "draining"
  | "file_store_full"
  | "file_store_unavailable"
  // running a job
  | "engine_crashed"
  | "engine_failed"
  | "stream_diverged"
  | "job_cancelled"
  | "file_missing"
  | "internal_error"
  // starting
  | "config_invalid"
  | "catalogue_invalid"
  | "model_unknown"
  | "model_file_missing"
  | "model_file_invalid"
  | "model_load_failed"
  | "model_does_not_fit"
  | "download_failed"
  | "checksum_mismatch"
  | "port_in_use"
  | "redis_unsuitable"
  // asking a gateway, as the command line does
  | "server_unavailable"
  | "server_refused";

/**
 * The same request may succeed later although nobody changes it. `engine_crashed` is not among them: the cluster itself has run
 * that job until it killed three engines, and each repetition would kill three more.
 */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  "gateway_overloaded",
  "redis_unavailable",
  "redis_evicts",
  "idempotency_in_flight",
  "model_unavailable",
  "draining",
  "file_store_unavailable",
  "stream_diverged",
  "internal_error",
  "download_failed",
  "server_unavailable",
]);

/** Whether a job that failed with this code may succeed at its next try. */
export function isPassing(code: string): boolean {
  return RETRYABLE.has(code as ErrorCode);
}

export interface QuernErrorOptions {
  cause?: unknown;
  /** The request field at fault, as a path (`messages[0].content`). */
  param?: string;
  /** How long a caller should wait before it tries again. */
  retryAfterSeconds?: number;
}

/** The one error class that crosses rooms. Its message is for the person who can cure it. */
export class QuernError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly param: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(code: ErrorCode, message: string, options: QuernErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "QuernError";
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }
}
