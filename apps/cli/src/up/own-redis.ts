import { QuernError } from "@quern/shared/contract/errors";
import { LOWEST_REDIS_MAJOR } from "@quern/shared/process/redis-binary";
import { evictionFault, evictionPolicyIn } from "@quern/shared/redis/eviction-policy";
import { Redis } from "ioredis";

const ANSWER_TIMEOUT_MS = 3_000;

/**
 * Checks the Redis that `REDIS_URL` names: that it answers, and keeps what it accepts.
 * @returns what is worth a warning.
 * @throws QuernError `redis_unsuitable` with the cure.
 */
export async function checkOwnRedis(url: string): Promise<string[]> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: ANSWER_TIMEOUT_MS,
    commandTimeout: ANSWER_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
  });
  // The rejected command only says that the connection is closed; this says why.
  let reason: Error | null = null;
  redis.on("error", (error) => {
    reason ??= error;
  });
  try {
    await redis.connect();
    return complaintsAbout(await redis.info());
  } catch (error) {
    if (error instanceof QuernError) throw error;
    throw new QuernError(
      "redis_unsuitable",
      `the Redis at ${withoutPassword(url)} (REDIS_URL) does not answer: ${(reason ?? (error as Error)).message}. ` +
        "Start it, correct REDIS_URL, or unset it to let Quern start one",
      { cause: error },
    );
  } finally {
    redis.disconnect();
  }
}

export function withoutPassword(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== "") parsed.password = "***";
  return parsed.href;
}

function complaintsAbout(info: string): string[] {
  const value = (field: string) => new RegExp(`^${field}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  // Valkey reports the version of Redis that it is compatible with, which is 7.2.
  if (Number(value("redis_version").split(".")[0]) < LOWEST_REDIS_MAJOR) {
    throw new QuernError(
      "redis_unsuitable",
      `Quern needs Redis ${LOWEST_REDIS_MAJOR} or newer, the one of REDIS_URL is ${value("redis_version")}`,
    );
  }
  const fault = evictionFault(evictionPolicyIn(info));
  if (fault !== null) throw new QuernError("redis_unsuitable", `the Redis of REDIS_URL won't do: ${fault}`);
  return value("aof_enabled") === "1"
    ? []
    : [
        "The Redis of REDIS_URL keeps no append-only file: a restart of it may lose accepted jobs (set appendonly yes).",
      ];
}
