import { createHash } from "node:crypto";
import { QuernError } from "@quern/shared/contract/errors";
import type { KeyedRequest } from "@quern/shared/redis/idempotency";
import { canonicalJson } from "./canonical-json.ts";

export const IDEMPOTENCY_HEADER = "idempotency-key";
/** As long as a header may be that callers draw a UUID or a digest for, and common among APIs. */
const MAX_KEY_CHARACTERS = 255;

export interface IdentifiedRequest {
  tenant: string;
  method: string;
  /** The route's pattern or path, whichever names the same thing the same way. */
  path: string;
  body: unknown;
}

/**
 * What an Idempotency-Key stands for; null: there is none. The same request has the same digest whatever the order of its
 * fields.
 * @throws QuernError `invalid_request` for a key that is empty or too long.
 */
export function keyedRequestOf(key: string | undefined, request: IdentifiedRequest): KeyedRequest | null {
  if (key === undefined) return null;
  if (key === "" || key.length > MAX_KEY_CHARACTERS) {
    throw new QuernError(
      "invalid_request",
      `Idempotency-Key must have 1 to ${MAX_KEY_CHARACTERS} characters, such as a UUID`,
      { param: IDEMPOTENCY_HEADER },
    );
  }
  const { tenant, method, path, body } = request;
  return { tenant, keyHash: digest(key), requestHash: digest(canonicalJson([method, path, body])) };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
