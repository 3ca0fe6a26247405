import { expireDueJobs } from "@quern/shared/redis/deadlines";
import { settle } from "./settlement.ts";
import type { SweepContext } from "./sweep-entry.ts";

/** Ends all queued jobs whose deadlines have passed, with what follows from it, whether or not a worker is there. */
export async function expireDue(context: SweepContext): Promise<void> {
  const { redis, references, deliveries, retentionSeconds, events } = context;
  for (let more = true; more; ) {
    const { expired, hasMore } = await expireDueJobs(redis, { retentionSeconds });
    await Promise.all(
      expired.map(async (job) => {
        events.jobExpired(job.id);
        await references.remove(job);
        await settle(redis, deliveries, events, job);
      }),
    );
    more = hasMore;
  }
}
