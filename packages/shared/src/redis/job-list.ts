import type { Redis } from "ioredis";
import type { JobSummary } from "../contract/job.ts";
import { jobStateSchema } from "../contract/lifecycle.ts";
import { jobIndexKey, jobKey } from "../contract/names.ts";
import { parseJobSummary, SUMMARY_FIELDS } from "./job-fields.ts";

/** What a list can be narrowed down by. */
export type JobTraits = Pick<JobSummary, "state" | "model">;
const TRAIT_FIELDS = ["state", "model"] as const satisfies (keyof JobTraits)[];

export interface JobListQuery {
  tenant: string;
  limit: number;
  order: "asc" | "desc";
  /** Begin after this job id; null: at the newest (`desc`) or oldest (`asc`). */
  after: string | null;
  matches: (traits: JobTraits) => boolean;
}

/** How many ids one round trip looks at. */
const SCAN_IDS = 500;

/**
 * A page of a tenant's jobs, by creation. Jobs whose record expired drop out of the index as they are met.
 * `hasMore` is exact: it looks until it found one match past the page. It looks at traits alone, and reads the records
 * of the page: answers may be large, and a filter may pass over thousands of them.
 */
export async function listJobs(
  redis: Redis,
  query: JobListQuery,
): Promise<{ records: JobSummary[]; hasMore: boolean }> {
  const { ids, hasMore } = await matchingIds(redis, query);
  const records = await readFields(redis, ids, SUMMARY_FIELDS);
  return { records: records.map(parseJobSummary).filter((record) => record !== null), hasMore };
}

async function matchingIds(redis: Redis, query: JobListQuery): Promise<{ ids: string[]; hasMore: boolean }> {
  const found: string[] = [];
  let after = query.after;
  for (;;) {
    const ids = await nextIds(redis, query, after);
    const traits = (await readFields(redis, ids, TRAIT_FIELDS)).map(parseTraits);
    const lapsed = ids.filter((_, at) => traits[at] === null);
    if (lapsed.length > 0) await redis.zrem(jobIndexKey(query.tenant), ...lapsed);
    for (const [at, id] of ids.entries()) {
      const known = traits[at] ?? null;
      if (known === null || !query.matches(known)) continue;
      if (found.length === query.limit) return { ids: found, hasMore: true };
      found.push(id);
    }
    if (ids.length < SCAN_IDS) return { ids: found, hasMore: false };
    after = ids.at(-1) ?? null;
  }
}

function parseTraits([state, model]: (string | null)[]): JobTraits | null {
  if (typeof state !== "string" || typeof model !== "string") return null;
  return { state: jobStateSchema.parse(state), model };
}

function nextIds(redis: Redis, query: JobListQuery, after: string | null): Promise<string[]> {
  const key = jobIndexKey(query.tenant);
  const bound = after === null ? null : `(${after}`;
  return query.order === "desc"
    ? redis.zrange(key, bound ?? "+", "-", "BYLEX", "REV", "LIMIT", 0, SCAN_IDS)
    : redis.zrange(key, bound ?? "-", "+", "BYLEX", "LIMIT", 0, SCAN_IDS);
}

async function readFields(
  redis: Redis,
  ids: readonly string[],
  fields: readonly string[],
): Promise<(string | null)[][]> {
  if (ids.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hmget(jobKey(id), ...fields);
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, values]) => {
    if (error) throw error;
    return values as (string | null)[];
  });
}
