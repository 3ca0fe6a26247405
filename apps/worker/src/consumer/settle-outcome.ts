import type { JobRecord } from "@quern/shared/contract/job";
import { settleEnded } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";
import type { AttemptOutcome } from "./attempt.ts";

/** What follows an attempt that ended its job. One that settling fails for is found by a scheduler. */
export async function settleOutcome(
  redis: Redis,
  record: Pick<JobRecord, "id" | "tenant" | "webhook">,
  { end, answer }: AttemptOutcome,
): Promise<void> {
  if (end === "queued" || end === "suspect" || end === "lost") return;
  await settleEnded(redis, record, { state: end, usage: answer?.usage ?? null });
}
