import { z } from "zod";
import { QuernError } from "../contract/errors.ts";

/** Thirty days: what is not wanted sooner than that needs no deadline. */
const MAX_TTL_SECONDS = 30 * 86_400;

const ttlSecondsSchema = z.number().gt(0).max(MAX_TTL_SECONDS);

/** Of a job's body: at most one of them. */
export const deadlineFields = {
  /** RFC 3339 with its offset, or Unix seconds. */
  deadline: z
    .union([z.iso.datetime({ offset: true }), z.number().positive()], {
      error: "must be a time such as 2026-01-31T18:00:00Z (RFC 3339, with Z or an offset), or Unix seconds",
    })
    .nullish(),
  ttl_seconds: ttlSecondsSchema.nullish(),
};
type DeadlineBody = z.infer<z.ZodObject<typeof deadlineFields>>;

/** Until when a job is wanted, as its caller put it; null: there is no hurry. */
export type DeadlineWish = { atMs: number; param: string } | { ttlMs: number } | null;

/** @throws QuernError `invalid_request` when it has both. */
export function deadlineWishOf({ deadline, ttl_seconds: ttlSeconds }: DeadlineBody): DeadlineWish {
  if (deadline != null && ttlSeconds != null) {
    throw new QuernError("invalid_request", "send deadline or ttl_seconds, not both", {
      param: "ttl_seconds",
    });
  }
  if (ttlSeconds != null) return { ttlMs: Math.ceil(ttlSeconds * 1_000) };
  if (deadline == null) return null;
  const atMs = typeof deadline === "number" ? Math.round(deadline * 1_000) : Date.parse(deadline);
  return { atMs, param: "deadline" };
}

export const TTL_HEADER = "x-quern-ttl-seconds";

/** The header of endpoints whose bodies are OpenAI's. @throws QuernError `invalid_request`. */
export function deadlineWishOfHeader(value: string | undefined): DeadlineWish {
  if (value === undefined) return null;
  const seconds = ttlSecondsSchema.safeParse(value.trim() === "" ? Number.NaN : Number(value));
  if (seconds.success) return { ttlMs: Math.ceil(seconds.data * 1_000) };
  throw new QuernError(
    "invalid_request",
    `${TTL_HEADER} must be a number of seconds above 0, at most ${MAX_TTL_SECONDS}`,
    { param: TTL_HEADER },
  );
}

/**
 * Unix milliseconds. `nowMs` is the time by the clock that will judge the deadline.
 * @throws QuernError `invalid_request` for a deadline that has passed, or is further off than 30 days.
 */
export function toDeadlineAtMs(wish: DeadlineWish, nowMs: number): number | null {
  if (wish === null) return null;
  if ("ttlMs" in wish) return nowMs + wish.ttlMs;
  const { atMs, param } = wish;
  const now = new Date(nowMs).toISOString();
  if (atMs <= nowMs) {
    throw new QuernError(
      "invalid_request",
      `the deadline has passed: it is ${now} here. Send a later one, or ttl_seconds, which needs no clock of yours`,
      { param },
    );
  }
  if (atMs > nowMs + MAX_TTL_SECONDS * 1_000) {
    throw new QuernError(
      "invalid_request",
      `the deadline is more than 30 days away: it is ${now} here. Send an earlier one (Unix time is in seconds), or none`,
      { param },
    );
  }
  return atMs;
}
