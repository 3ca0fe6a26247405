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
