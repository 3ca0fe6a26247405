import { QuernError } from "@quern/shared/contract/errors";
import type { SchedulerEvents } from "../../events.ts";
import type { BatchFeed } from "./batch-feed.ts";
import { byUrgency } from "./feed-batch.ts";
import type { BlockBounds } from "./input-block.ts";

/** Of the blocks that all tenants of a model have in hand. */
const MAX_BLOCKS_BYTES = 64 * 2 ** 20;
const MAX_BLOCK_BYTES = 4 * 2 ** 20;
const MIN_BLOCK_BYTES = 64 * 2 ** 10;

/**
 * Of each tenant the batch whose line is its next one: the most urgent that has lines to feed, with one in hand. Of the others
 * nothing is kept in memory.
 */
export async function tenantHeads(
  feeds: Iterable<BatchFeed>,
  lookaheadLines: number,
  events: Pick<SchedulerEvents, "inputUnreadable">,
): Promise<Map<string, BatchFeed>> {
  const byTenant = Map.groupBy(feeds, ({ batch }) => batch.tenant);
  const bytes = Math.min(MAX_BLOCK_BYTES, Math.max(MIN_BLOCK_BYTES, MAX_BLOCKS_BYTES / byTenant.size));
  const heads = new Map<string, BatchFeed>();
  for (const [tenant, ofTenant] of byTenant) {
    const ordered = ofTenant.toSorted((a, b) => byUrgency(a.batch, b.batch));
    const head = await firstWithLine(ordered, { lines: lookaheadLines, bytes }, events);
    for (const feed of ordered) if (feed !== head) feed.drop();
    if (head !== null) heads.set(tenant, head);
  }
  return heads;
}

async function firstWithLine(
  feeds: readonly BatchFeed[],
  bounds: BlockBounds,
  events: Pick<SchedulerEvents, "inputUnreadable">,
): Promise<BatchFeed | null> {
  for (const feed of feeds) {
    try {
      await feed.fill(bounds);
    } catch (error) {
      if (!(error instanceof QuernError)) throw error;
      // One that is gone is its keeper's to end; others go on.
      events.inputUnreadable(feed.batch.id, error);
    }
    if (feed.hasLine) return feed;
  }
  return null;
}
