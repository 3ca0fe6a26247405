import { liveJobsKey, TENANTS_KEY } from "@quern/shared/contract/names";
import type { LiveJob } from "@quern/shared/redis/live-jobs";
import { pairsOf } from "@quern/shared/redis/replies";
import type { Redis } from "ioredis";

/** About so many entries a page. */
const PAGE_ENTRIES = 200;

/** An entry of the index of live jobs; `acceptedAtMs` by Redis' clock. */
export interface LiveEntry extends LiveJob {
  acceptedAtMs: number;
}

/**
 * All tenants' live jobs, a page at a time. Every entry that stays during the walk is met at least once; what comes and
 * goes meanwhile is met or not (Redis' promise for SCAN).
 */
export async function* livePages(redis: Redis): AsyncGenerator<LiveEntry[], void, undefined> {
  for await (const tenant of tenantsOf(redis)) {
    const key = liveJobsKey(tenant);
    for await (const flat of pages((cursor) => redis.zscan(key, cursor, "COUNT", PAGE_ENTRIES))) {
      if (flat.length > 0) yield entriesOf(tenant, flat);
    }
  }
}

/** Every tenant that ever submitted anything, at least once. */
export async function* tenantsOf(redis: Redis): AsyncGenerator<string, void, undefined> {
  for await (const tenants of pages((cursor) => redis.sscan(TENANTS_KEY, cursor, "COUNT", PAGE_ENTRIES))) {
    yield* tenants;
  }
}

async function* pages(
  scan: (cursor: string) => Promise<[cursor: string, elements: string[]]>,
): AsyncGenerator<string[], void, undefined> {
  let cursor = "0";
  do {
    const [next, elements] = await scan(cursor);
    yield elements;
    cursor = next;
  } while (cursor !== "0");
}

/** `flat`: id, score, id, score, … */
function entriesOf(tenant: string, flat: string[]): LiveEntry[] {
  return pairsOf(flat).map(([id, acceptedAtMs]) => ({ id, tenant, acceptedAtMs: Number(acceptedAtMs) }));
}
