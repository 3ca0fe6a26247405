import type { Redis } from "ioredis";

/** A sorted set of ids that all have score 0, and the key of the record that an id stands for. */
export interface RecordIndex {
  indexKey: string;
  recordKeyOf(id: string): string;
}

export interface TrimmedPage {
  /** How many ids were removed. */
  removed: number;
  /** The next page begins after this id; null: this page was the last. */
  lastId: string | null;
}

/** Ids that one round trip looks at: less than a millisecond of Redis' time. */
export const PAGE_IDS = 1_000;

/**
 * Removes the ids of one page whose records no longer exist, the oldest ids first.
 * @param afterId the `lastId` of the page before; null: begin at the oldest id.
 */
export async function trimPage(
  redis: Redis,
  { indexKey, recordKeyOf }: RecordIndex,
  afterId: string | null,
): Promise<TrimmedPage> {
  const from = afterId === null ? "-" : `(${afterId}`;
  const ids = await redis.zrange(indexKey, from, "+", "BYLEX", "LIMIT", 0, PAGE_IDS);
  const gone = await withoutRecord(redis, ids, recordKeyOf);
  const removed = gone.length === 0 ? 0 : await redis.zrem(indexKey, ...gone);
  return { removed, lastId: ids.length < PAGE_IDS ? null : (ids.at(-1) ?? null) };
}

async function withoutRecord(
  redis: Redis,
  ids: string[],
  recordKeyOf: (id: string) => string,
): Promise<string[]> {
  if (ids.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.exists(recordKeyOf(id));
  const replies = (await pipeline.exec()) ?? [];
  return ids.filter((_, at) => {
    const [error, exists] = replies[at] ?? [];
    if (error) throw error;
    return exists === 0;
  });
}
