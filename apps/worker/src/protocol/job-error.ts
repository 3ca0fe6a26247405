import { QuernError } from "@quern/shared/contract/errors";
import type { JobError } from "@quern/shared/contract/job";

/** An error as a job's record holds it. What is not a QuernError is a bug of ours, and named so. */
export function toJobError(error: unknown): JobError {
  if (error instanceof QuernError) return { code: error.code, message: error.message, param: error.param };
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal_error", message: `unexpected: ${message}`, param: null };
}
