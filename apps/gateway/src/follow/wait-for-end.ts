import type { JobRecord } from "@quern/shared/contract/job";
import { isTerminal } from "@quern/shared/contract/lifecycle";
import { readJob } from "@quern/shared/redis/job-store";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";
import type { Announcement } from "./announcement.ts";
import type { EventHub } from "./event-hub.ts";

const QUIET_READ_INTERVAL_MS = 5_000;
const REDIS_RETRY_INTERVAL_MS = 250;

/** The job once it has ended, or as it is when `signal` aborts. null: it is gone. */
export async function waitForEnd(
  hub: EventHub,
  redis: Redis,
  jobId: string,
  signal: AbortSignal,
): Promise<JobRecord | null> {
  await using listener = await hub.listen(jobId, signal);
  for (;;) {
    const record = await readJob(redis, jobId).catch((error: unknown) => {
      if (isRedisAway(error) && !signal.aborted) return undefined;
      throw error;
    });
    if (record === undefined) {
      await listener.heard(REDIS_RETRY_INTERVAL_MS);
      listener.take();
      continue;
    }
    if (record === null || isTerminal(record.state) || signal.aborted) return record;
    do {
      await listener.heard(QUIET_READ_INTERVAL_MS);
    } while (!signal.aborted && saysNothingOfTheEnd(listener.take()));
  }
}

/** Most announcements are deltas, and none of them ends a job: no need to read it again for each. */
function saysNothingOfTheEnd(announcements: readonly Announcement[] | null): boolean {
  if (announcements === null || announcements.length === 0) return false;
  return !announcements.some(({ text }) => text.includes('"type":"end"'));
}
