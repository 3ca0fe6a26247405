import type { Redis } from "ioredis";
import { QuernError } from "../contract/errors.ts";

/** What `INFO memory` says, which also those may ask to whom a host of Redis forbids CONFIG. null: it does not say. */
export function evictionPolicyIn(info: string): string | null {
  return /^maxmemory_policy:(.*?)\r?$/m.exec(info)?.[1] ?? null;
}

export async function readEvictionPolicy(redis: Redis): Promise<string | null> {
  return evictionPolicyIn(await redis.info("memory"));
}

/** Why a Redis with this policy is not fit to hold jobs; null: it is, or does not say. */
export function evictionFault(policy: string | null): string | null {
  if (policy === null || policy === "noeviction") return null;
  return (
    `Redis may drop accepted jobs when its memory is full (maxmemory-policy ${policy}): ` +
    "run 'redis-cli config set maxmemory-policy noeviction', and set it in its configuration"
  );
}

/** @throws QuernError `redis_unsuitable` with the cure. */
export async function refuseEviction(redis: Redis): Promise<void> {
  const fault = evictionFault(await readEvictionPolicy(redis));
  if (fault !== null) throw new QuernError("redis_unsuitable", fault);
}
