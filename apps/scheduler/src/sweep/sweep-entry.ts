import { isTerminal } from "@quern/shared/contract/lifecycle";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../events.ts";
import type { DeliveryQueue } from "../queue/delivery-queue.ts";
import type { JobReferences } from "../queue/job-references.ts";
import type { LiveEntry } from "./live-pages.ts";
import { mendJob } from "./mend-job.ts";
import { settle } from "./settlement.ts";
import type { Standing } from "./standing.ts";

/** A submitter needs less than that from the index of live jobs to the queue. */
const MEND_AFTER_MS = 5_000;
/** Leases lapse after 30 s, and the next worker takes the job within five more. */
const UNLEASED_AFTER_MS = 120_000;

/** What sweeping works with. */
export interface SweepContext {
  redis: Redis;
  references: JobReferences;
  deliveries: DeliveryQueue;
  /** How long an expired job stays readable. */
  retentionSeconds: number;
  events: SchedulerEvents;
}

/**
 * Looks after one live job: settles one that has ended, mends one that no queue knows. `unleased`: it runs, as its record
 * says, but for long nobody has had a lease of it.
 */
export async function sweepEntry(
  { redis, references, deliveries, events }: SweepContext,
  entry: LiveEntry,
  standing: Standing | null,
  nowMs: number,
): Promise<"seen" | "unleased"> {
  if (standing === null || isTerminal(standing.state)) {
    await settle(redis, deliveries, events, entry);
    return "seen";
  }
  if (nowMs - entry.acceptedAtMs < MEND_AFTER_MS) return "seen";
  const mended = await mendJob(redis, references, entry, standing, nowMs);
  if (mended === "unleased") {
    return nowMs - (standing.claimedAtMs ?? nowMs) > UNLEASED_AFTER_MS ? "unleased" : "seen";
  }
  if (mended !== "fine") events.jobMended(entry.id, mended);
  return "seen";
}
