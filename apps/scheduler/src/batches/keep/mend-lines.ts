import { dropLiveLine, readLiveLines } from "@quern/shared/redis/batch-lines";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { Attempt } from "@quern/shared/redis/job-store";
import { mendReference } from "../../sweep/mend-job.ts";
import { readStandings } from "../../sweep/standing.ts";
import type { Keeping } from "./keeping.ts";

/** A feeder needs less than that from a line's record to its reference. */
const MEND_AFTER_MS = 5_000;
/** More than a model's window holds: those fed first are looked at. */
const MAX_LINES = 1_000;

/**
 * Puts lines back into their queue that are live and in none, and lets those be fed again of which Redis has lost the record.
 * @returns attempts that no worker has a lease of, and that BullMQ lets be for now.
 */
export async function mendLines({ redis, references, batchId, events }: Keeping): Promise<Attempt[]> {
  const nowMs = await redisNowMs(redis);
  const live = await readLiveLines(redis, batchId, MAX_LINES);
  const old = live.filter(({ fedAtMs }) => nowMs - fedAtMs >= MEND_AFTER_MS);
  const ids = old.map(({ jobId }) => jobId);
  const standings = ids.length === 0 ? [] : await readStandings(redis, ids);
  const unleased: Attempt[] = [];
  for (const [at, { jobId, index }] of old.entries()) {
    const standing = standings[at] ?? null;
    if (standing === null) {
      const { dropped } = await dropLiveLine(redis, { batchId, index });
      if (dropped) events.jobForgotten(jobId);
      continue;
    }
    const mended = await mendReference(redis, references, jobId, standing, nowMs);
    if (mended === "unleased") unleased.push({ jobId, epoch: standing.attempt });
    else if (mended !== "fine") events.jobMended(jobId, mended);
  }
  return unleased;
}
