import { isTerminal } from "@quern/shared/contract/lifecycle";
import { confirmJob, giveUpAttempt } from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import type { Mend } from "../events.ts";
import type { JobReferences } from "../queue/job-references.ts";
import type { LiveEntry } from "./live-pages.ts";
import { readStandings, type Standing } from "./standing.ts";

/** Mends an accepted job, of whatever kind (`mendReference`). */
export async function mendJob(
  redis: Redis,
  references: JobReferences,
  entry: LiveEntry,
  before: Standing,
  nowMs: number,
): Promise<Mended> {
  const mended = await mendReference(redis, references, entry.id, before, nowMs);
  // The submitter died before it confirmed, or Redis lost that it did: the record would expire in its queue, and the
  // secret of the webhook before the job ends.
  if (before.unconfirmed || mended === "handed_back" || mended === "reference_added") {
    await confirmJob(redis, entry);
  }
  return mended;
}

/** `fine`: its queues know it, or it moved on. `unleased`: a running job that no worker has a lease of. */
export type Mended = Mend | "fine" | "unleased";

/**
 * Puts a job that has not ended back where it belongs when its queues know nothing of it: Redis lost its last second,
 * a submitter died half-way, or BullMQ gave the job up. The record is read before the queues and after: only one that
 * stood still meanwhile is missed by them, so a job that somebody works at is never touched. What remains is fenced.
 */
export async function mendReference(
  redis: Redis,
  references: JobReferences,
  jobId: string,
  before: Standing,
  nowMs: number,
): Promise<Mended> {
  const job = { id: jobId, model: before.model, class: before.class };
  const reference = await references.find(job);
  if (reference === "unleased" && before.state === "running") return "unleased";
  if (reference !== "none") return "fine";
  const [now] = await readStandings(redis, [jobId]);
  if (now == null || isTerminal(now.state)) return "fine";
  if (now.state !== before.state || now.attempt !== before.attempt) return "fine";

  if (now.state === "running") {
    const attempt = { jobId, epoch: now.attempt };
    const { handedBack } = await giveUpAttempt(redis, attempt, "given_back", nowMs);
    if (!handedBack) return "fine";
  }
  await references.put(job);
  return now.state === "running" ? "handed_back" : "reference_added";
}
