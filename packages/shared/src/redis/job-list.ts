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

/**
 * A page of a tenant's jobs, by creation. Jobs whose record expired drop out of the index as they are met.
 * A filter looks at traits alone, and only the page's records are read: answers may be large, and a filter may pass over
 * thousands of them.
 */
export async function listJobs(
  redis: Redis,
  query: JobListQuery,
): Promise<{ records: JobSummary[]; hasMore: boolean }> {
  const { tenant, matches, ...page } = query;
  const { found, hasMore } = await readIndexPage(
    redis,
    { ...page, indexKey: jobIndexKey(tenant) },
    async (ids) => (await readFields(redis, ids, TRAIT_FIELDS)).map(parseTraits),
    matches,
  );
  const ids = found.map(({ id }) => id);
  const records = await readFields(redis, ids, SUMMARY_FIELDS);
  return { records: records.map(parseJobSummary).filter((record) => record !== null), hasMore };
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
