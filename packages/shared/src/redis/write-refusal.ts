import type { Redis } from "ioredis";
import { loadScript, runScript } from "./script.ts";

const ACCEPT_WRITES = loadScript("accept_writes.lua");

/** The first word of Redis' error, and what to tell the person who can cure it. */
const REFUSALS: Record<string, string> = {
  OOM:
    "its memory is full (maxmemory). Raise the limit with 'redis-cli config set maxmemory <bytes>' and in its configuration, " +
    "or keep jobs for a shorter time (QUERN_RETENTION_SECONDS)",
  MISCONF: "it can't write to its disk. Make room there, or see in its log what else is wrong",
  READONLY: "it is a read-only replica. Point REDIS_URL to the primary",
  MASTERDOWN: "it is a replica that has lost its primary. Point REDIS_URL to the primary",
  NOREPLICAS: "too few replicas follow it (min-replicas-to-write). Start them, or lower that setting",
};

/**
 * Why a Redis that answers refuses writes, with the cure; null: it accepts them. Costs one round trip and writes nothing.
 * Rejects when Redis is away.
 */
export async function findWriteRefusal(redis: Redis): Promise<string | null> {
  try {
    await runScript(redis, ACCEPT_WRITES, [], []);
    return null;
  } catch (error) {
    const refusal = writeRefusalOf(error);
    if (refusal === null) throw error;
    return refusal;
  }
}

/** What an error of a command says about that; null: it says something else. */
export function writeRefusalOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const [word = ""] = error.message.split(" ", 1);
  return Object.hasOwn(REFUSALS, word) ? `Redis refuses writes: ${REFUSALS[word]}` : null;
}
