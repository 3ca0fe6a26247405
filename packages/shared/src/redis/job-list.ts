import type { Redis } from "ioredis";
import type { JobSummary } from "../contract/job.ts";
import { jobIndexKey, jobKey } from "../contract/names.ts";
import { parseJobSummary, SUMMARY_FIELDS } from "./job-fields.ts";

export interface JobListQuery {
  tenant: string;
  limit: number;
  order: "asc" | "desc";
  /** Begin after this job id; null: at the newest (`desc`) or oldest (`asc`). */
  after: string | null;
  matches: (record: JobSummary) => boolean;
}

/** How many ids one round trip looks at. */
const SCAN_IDS = 200;

/**
 * A page of a tenant's jobs, by creation. Jobs whose record expired drop out of the index as they are met.
 * `hasMore` is exact: it looks until it found one match past the page.
 */
export async function listJobs(
  redis: Redis,
  query: JobListQuery,
): Promise<{ records: JobSummary[]; hasMore: boolean }> {
  const found: JobSummary[] = [];
  let after = query.after;
  for (;;) {
    const ids = await nextIds(redis, query, after);
    const records = await readRecords(redis, ids);
    const lapsed = ids.filter((_, position) => records[position] === null);
    if (lapsed.length > 0) await redis.zrem(jobIndexKey(query.tenant), ...lapsed);
    for (const record of records) {
      if (record === null || !query.matches(record)) continue;
      if (found.length === query.limit) return { records: found, hasMore: true };
      found.push(record);
    }
    if (ids.length < SCAN_IDS) return { records: found, hasMore: false };
    after = ids.at(-1) ?? null;
  }
}

function nextIds(redis: Redis, query: JobListQuery, after: string | null): Promise<string[]> {
  const key = jobIndexKey(query.tenant);
  const bound = after === null ? null : `(${after}`;
  return query.order === "desc"
    ? redis.zrange(key, bound ?? "+", "-", "BYLEX", "REV", "LIMIT", 0, SCAN_IDS)
    : redis.zrange(key, bound ?? "-", "+", "BYLEX", "LIMIT", 0, SCAN_IDS);
}

async function readRecords(redis: Redis, ids: string[]): Promise<(JobSummary | null)[]> {
  if (ids.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hmget(jobKey(id), ...SUMMARY_FIELDS);
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, values]) => {
    if (error) throw error;
    return parseJobSummary(values as (string | null)[]);
  });
}
