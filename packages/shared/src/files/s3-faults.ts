import { S3ServiceException } from "@aws-sdk/client-s3";
import { QuernError } from "../contract/errors.ts";

/** Of servers other than Amazon's, which never is full. */
const FULL_NAMES = new Set(["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"]);
const INSUFFICIENT_STORAGE = 507;

/** Of the connection, or of finding credentials: they come from below the SDK, so no class tells them. */
const CLIENT_NAMES = new Set(["TimeoutError", "CredentialsProviderError", "NetworkingError"]);

export function isNotFound(error: unknown): boolean {
  // Without a body (HEAD) it has no name of its own. A bucket that is not there is another matter.
  return error instanceof S3ServiceException && (error.name === "NoSuchKey" || error.name === "NotFound");
}

/** A range that begins at the end of the object, or behind it. */
export function isPastTheEnd(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416;
}

/** What a bucket said, or what kept it from saying anything, as ours; what else was thrown stays as it is. */
export function bucketFault(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof QuernError || error.name === "AbortError") return error;
  const { name } = error;
  if (error instanceof S3ServiceException) {
    const full = FULL_NAMES.has(name) || error.$metadata.httpStatusCode === INSUFFICIENT_STORAGE;
    return full
      ? new QuernError(
          "file_store_full",
          `there is no room for files (${name}): delete files that are not needed, or make room in the bucket that QUERN_FILES names`,
          { cause: error },
        )
      : unavailable(name, error);
  }
  if (CLIENT_NAMES.has(name) || "syscall" in error || "$metadata" in error) return unavailable(name, error);
  // A connection that broke in the middle of a body.
  return (error as NodeJS.ErrnoException).code === "ECONNRESET" ? unavailable("ECONNRESET", error) : error;
}

function unavailable(what: string, cause: Error): QuernError {
  return new QuernError(
    "file_store_unavailable",
    `files can't be read or written just now (${what}): see to the bucket that QUERN_FILES names, to QUERN_S3_ENDPOINT and to the credentials`,
    { cause },
  );
}
