import { QuernError } from "../contract/errors.ts";

// EXECABORT: a command of a transaction was refused, which happens to ours for want of memory only.
const AWAY =
  /Connection is closed|Stream isn't writeable|Command timed out|LOADING|READONLY|MASTERDOWN|MISCONF|NOREPLICAS|OOM command|EXECABORT/;
const AWAY_CODES = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH"]);

/** Whether an error of ioredis or BullMQ means that Redis is not reached, does not answer, or takes no writes. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { name, message, code } = error as Error & { code?: string };
  return name === "MaxRetriesPerRequestError" || AWAY.test(message) || AWAY_CODES.has(code ?? "");
}

/** Whether Redis is not reached or does not answer; one that refuses a command is there. */
export function isRedisSilent(error: unknown): boolean {
  if (error instanceof QuernError) return error.code === "redis_unavailable";
  return isRedisAway(error) && !isRefusedByRedis(error);
}

/** Whether Redis answered that it does not carry the command out. */
export function isRefusedByRedis(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** Whether a command surely did nothing: Redis refused it, or it was never sent. */
export function hadNoEffect(error: unknown): boolean {
  return (
    isRefusedByRedis(error) || (error instanceof Error && error.message.startsWith("Stream isn't writeable"))
  );
}
