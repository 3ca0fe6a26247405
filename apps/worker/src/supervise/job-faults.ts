import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { JobError } from "@quern/shared/contract/job";

/** The error that a child reported, as it was thrown there. */
export function fromJobError({ code, message, param }: JobError): QuernError {
  return new QuernError(code as ErrorCode, message, param === null ? {} : { param });
}
