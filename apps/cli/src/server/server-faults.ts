import { QuernError } from "@quern/shared/contract/errors";
import { z } from "zod";

const errorSchema = z.object({ error: z.object({ message: z.string() }) });

/** Nobody answers, or the connection broke. */
export function unreachable({ url }: { url: string }, cause: unknown): QuernError {
  const { message, cause: reason } = cause as Error & { cause?: { code?: string; message?: string } };
  return new QuernError(
    "server_unavailable",
    `no Quern answers at ${url} (${reason?.code ?? reason?.message ?? message}): start one with 'npm start', name another with --url or QUERN_URL, or run without one with --local`,
    { cause },
  );
}

/** What a reply with an error's status says. @param retryAfter the header of that name. */
export function refusal(status: number, retryAfter: string | null, text: string): QuernError {
  const parsed = errorSchema.safeParse(jsonOrNull(text));
  const said = parsed.success ? parsed.data.error.message : text.slice(0, 200);
  const retryAfterSeconds = Number(retryAfter ?? Number.NaN);
  const cure = status === 401 ? " (QUERN_API_KEY holds the key)" : "";
  return new QuernError(
    status === 429 || status >= 500 ? "server_unavailable" : "server_refused",
    `the server says ${status}: ${said}${cure}`,
    { cause: { status }, ...(Number.isFinite(retryAfterSeconds) ? { retryAfterSeconds } : {}) },
  );
}

/** Whether the server does not know, or does not have any more, what was asked for. */
export function isNotFound(error: unknown): boolean {
  return error instanceof QuernError && (error.cause as { status?: number } | undefined)?.status === 404;
}

/** null: it is no JSON. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
