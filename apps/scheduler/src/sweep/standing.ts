import type { JobClass } from "@quern/shared/contract/job";
import type { JobState } from "@quern/shared/contract/lifecycle";
import { jobKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";

/** What of a live job's record says where it should be. */
export interface Standing {
  state: JobState;
  attempt: number;
  model: string;
  class: JobClass;
  /** When its current attempt began, by Redis' clock. */
  claimedAtMs: number | null;
  /** Its submitter has not confirmed it: until somebody does, its record and its webhook expire. */
  unconfirmed: boolean;
}

const FIELDS = ["state", "attempt", "model", "class", "claimedAtMs", "unconfirmed"];

/** In the order of the ids; null: there is no record. */
export async function readStandings(redis: Redis, jobIds: string[]): Promise<(Standing | null)[]> {
  const pipeline = redis.pipeline();
  for (const id of jobIds) pipeline.hmget(jobKey(id), ...FIELDS);
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, values]) => {
    if (error) throw error;
    return toStanding(values as (string | null)[]);
  });
}

function toStanding(values: (string | null)[]): Standing | null {
  const [state, attempt, model, jobClass, claimedAtMs, unconfirmed] = values;
  if (state == null || model == null) return null;
  return {
    state: state as JobState,
    attempt: Number(attempt),
    model,
    class: (jobClass ?? "interactive") as JobClass,
    claimedAtMs: claimedAtMs == null ? null : Number(claimedAtMs),
    unconfirmed: unconfirmed != null,
  };
}
