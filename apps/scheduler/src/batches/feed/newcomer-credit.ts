import type { BatchFeed } from "./batch-feed.ts";

type SeenFeed = Pick<BatchFeed, "state"> & { batch: Pick<BatchFeed["batch"], "tenant"> };

/**
 * What a tenant that has just come may take ahead of the others, in tokens: what they have waiting in the queue already, on
 * average. It stands behind that, and would get its share late otherwise. What it has under way itself is taken off, so that
 * coming and going gains nothing.
 *
 * @param runningLines how many of the lines that are under way don't wait.
 */
export function newcomerCredit(
  tenant: string,
  waiting: ReadonlySet<string>,
  feeds: readonly SeenFeed[],
  { runningLines, weightOf }: { runningLines: number; weightOf: (tenant: string) => number },
): number {
  const live = feeds.reduce((sum, { state }) => sum + state.live, 0);
  const waitingShare = live === 0 ? 0 : Math.max(0, 1 - runningLines / live);
  let [own, others] = [0, 0];
  for (const { batch, state } of feeds) {
    if (batch.tenant === tenant) own += state.liveTokens;
    else if (waiting.has(batch.tenant)) others += (state.liveTokens * waitingShare) / weightOf(batch.tenant);
  }
  const ofEach = others / Math.max(waiting.size - 1, 1);
  return Math.max(0, weightOf(tenant) * ofEach - own);
}
