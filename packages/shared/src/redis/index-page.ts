import type { Redis } from "ioredis";
import { writeRefusalOf } from "./write-refusal.ts";

export interface IndexPageQuery {
  /** Sorted set of ids that all have score 0. */
  indexKey: string;
  limit: number;
  order: "asc" | "desc";
  /** Begin after this id, whether or not it is still there; null: at the newest (`desc`) or oldest (`asc`). */
  after: string | null;
  /** How many ids the page may look at. */
  maxScannedIds: number;
}

export interface IndexPage<Item> {
  found: { id: string; item: Item }[];
  /** There is one more match, or there are ids that this page did not look at. */
  hasMore: boolean;
  /** The next page begins after this id; null: the page is empty and the last one. */
  lastId: string | null;
}

/** How many ids one round trip looks at. */
const SCAN_IDS = 500;

/**
 * A page of what an index lists, by id. `read` returns what each id stands for, or null when that is gone: the id is then removed
 * from the index. `hasMore` is exact unless the page has looked at `maxScannedIds` ids: then the page may hold fewer than `limit`
 * items, even none, and goes on after `lastId`.
 */
export async function readIndexPage<Item>(
  redis: Redis,
  query: IndexPageQuery,
  read: (ids: readonly string[]) => Promise<(Item | null)[]>,
  matches: (item: Item) => boolean,
): Promise<IndexPage<Item>> {
  const found: { id: string; item: Item }[] = [];
  let after = query.after;
  for (let scanned = 0; scanned < query.maxScannedIds; scanned += SCAN_IDS) {
    const ids = await nextIds(redis, query, after);
    const items = await read(ids);
    const gone = ids.filter((_, at) => items[at] === null);
    if (gone.length > 0) await removeIds(redis, query.indexKey, gone);
    for (const [at, id] of ids.entries()) {
      const item = items[at] ?? null;
      if (item === null || !matches(item)) continue;
      if (found.length === query.limit) return { found, hasMore: true, lastId: lastOf(found) };
      found.push({ id, item });
    }
    if (ids.length < SCAN_IDS) return { found, hasMore: false, lastId: lastOf(found) };
    after = ids.at(-1) ?? null;
  }
  return { found, hasMore: true, lastId: after };
}

/** Reading goes on while Redis refuses writes: the ids are removed another time. */
async function removeIds(redis: Redis, indexKey: string, ids: string[]): Promise<void> {
  try {
    await redis.zrem(indexKey, ...ids);
  } catch (error) {
    if (writeRefusalOf(error) === null) throw error;
  }
}

function lastOf(found: readonly { id: string }[]): string | null {
  return found.at(-1)?.id ?? null;
}

function nextIds(redis: Redis, { indexKey, order }: IndexPageQuery, after: string | null): Promise<string[]> {
  const bound = after === null ? null : `(${after}`;
  return order === "desc"
    ? redis.zrange(indexKey, bound ?? "+", "-", "BYLEX", "REV", "LIMIT", 0, SCAN_IDS)
    : redis.zrange(indexKey, bound ?? "-", "+", "BYLEX", "LIMIT", 0, SCAN_IDS);
}
