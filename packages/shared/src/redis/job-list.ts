import type { Redis } from "ioredis";
import type { JobSummary } from "../contract/job.ts";
import { jobStateSchema } from "../contract/lifecycle.ts";
import { jobIndexKey, jobKey } from "../contract/names.ts";
import { readIndexPage } from "./index-page.ts";
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

/** Bounds the work of one request: 20 round trips, about 0.1 s. A million jobs take 100 requests. */
const MAX_SCANNED_JOBS = 10_000;

export interface JobListPage {
  records: JobSummary[];
  /** There may be more matches after `lastId`. */
  hasMore: boolean;
  lastId: string | null;
}

/**
 * A page of a tenant's jobs, by creation. Ids of expired records are removed from the index on the way.
 * A page looks at no more than `MAX_SCANNED_JOBS` jobs; where few of them match it may be short, or empty, and still have more.
 * A filter looks at traits alone, and only the page's records are read: answers may be large.
 */
export async function listJobs(redis: Redis, query: JobListQuery): Promise<JobListPage> {
  const { tenant, matches, ...page } = query;
  const { found, hasMore, lastId } = await readIndexPage(
    redis,
    { ...page, indexKey: jobIndexKey(tenant), maxScannedIds: MAX_SCANNED_JOBS },
    async (ids) => (await readFields(redis, ids, TRAIT_FIELDS)).map(parseTraits),
    matches,
  );
  const ids = found.map(({ id }) => id);
  const records = await readFields(redis, ids, SUMMARY_FIELDS);
  return { records: records.map(parseJobSummary).filter((record) => record !== null), hasMore, lastId };
}

function parseTraits([state, model]: (string | null)[]): JobTraits | null {
  if (typeof state !== "string" || typeof model !== "string") return null;
  return { state: jobStateSchema.parse(state), model };
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
