import type { Redis } from "ioredis";

export interface IndexPageQuery {
  /** Sorted set of ids that all have score 0. */
  indexKey: string;
  limit: number;
  order: "asc" | "desc";
  /** Begin after this id, whether or not it is still there; null: at the newest (`desc`) or oldest (`asc`). */
  after: string | null;
}

/** How many ids one round trip looks at. */
const SCAN_IDS = 500;

/**
 * A page of what an index lists, by id. `read` gives what each id stands for, null for what is gone: that drops out of the index as
 * it is met. `hasMore` is exact: it looks until it found one match past the page.
 */
export async function readIndexPage<Item>(
  redis: Redis,
  query: IndexPageQuery,
  read: (ids: readonly string[]) => Promise<(Item | null)[]>,
  matches: (item: Item) => boolean,
): Promise<{ found: { id: string; item: Item }[]; hasMore: boolean }> {
  const found: { id: string; item: Item }[] = [];
  let after = query.after;
  for (;;) {
    const ids = await nextIds(redis, query, after);
    const items = await read(ids);
    const gone = ids.filter((_, at) => items[at] === null);
    if (gone.length > 0) await redis.zrem(query.indexKey, ...gone);
    for (const [at, id] of ids.entries()) {
      const item = items[at] ?? null;
      if (item === null || !matches(item)) continue;
      if (found.length === query.limit) return { found, hasMore: true };
      found.push({ id, item });
    }
    if (ids.length < SCAN_IDS) return { found, hasMore: false };
    after = ids.at(-1) ?? null;
  }
}

function nextIds(redis: Redis, { indexKey, order }: IndexPageQuery, after: string | null): Promise<string[]> {
  const bound = after === null ? null : `(${after}`;
  return order === "desc"
    ? redis.zrange(indexKey, bound ?? "+", "-", "BYLEX", "REV", "LIMIT", 0, SCAN_IDS)
    : redis.zrange(indexKey, bound ?? "-", "+", "BYLEX", "LIMIT", 0, SCAN_IDS);
}
