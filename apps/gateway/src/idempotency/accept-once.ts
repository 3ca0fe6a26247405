import { QuernError } from "@quern/shared/contract/errors";
import { httpStatusOf } from "@quern/shared/openai/error-body";
import { type KeyedRequest, reserveKey, settleKey } from "@quern/shared/redis/idempotency";
import { readJob } from "@quern/shared/redis/job-store";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";
import { newJobId } from "../dispatch/job-id.ts";
import type { SubmittedJob } from "../dispatch/submit-job.ts";

const IN_FLIGHT_RETRY_AFTER_SECONDS = 1;

export interface AcceptedJob {
  job: SubmittedJob;
  /** An earlier request of the same Idempotency-Key made it. */
  replayed: boolean;
}

/**
 * Accepts a request as a job, at most once under one Idempotency-Key, whatever dies in between:
 *
 *   reserve ──▶ `accept` under the reserved id ──▶ accepted
 *     │              └─refused──▶ the key is free     └─broke off──▶ the next request goes on, under the same id
 *     └─accepted before──▶ that job
 *
 * `accept` gets the id the job is to have; called twice with one id, it must make one job.
 * @throws QuernError `idempotency_key_reused`, `idempotency_in_flight`, `idempotency_key_expired`, and what `accept` throws.
 */
export async function acceptOnce(
  redis: Redis,
  keyed: KeyedRequest | null,
  kept: { keptSeconds: number; retentionSeconds: number },
  accept: (jobId: string) => Promise<SubmittedJob>,
): Promise<AcceptedJob> {
  const jobId = newJobId();
  if (keyed === null) return { job: await accept(jobId), replayed: false };
  const reservation = await reserveKey(redis, keyed, { jobId, ...kept });
  switch (reservation.kind) {
    case "reused":
      throw new QuernError(
        "idempotency_key_reused",
        "this Idempotency-Key belongs to another request; draw a new key for each request",
      );
    case "in_flight":
      throw new QuernError(
        "idempotency_in_flight",
        "the first request with this Idempotency-Key is just being accepted; try again in a second",
        { retryAfterSeconds: IN_FLIGHT_RETRY_AFTER_SECONDS },
      );
    case "accepted":
      return { job: await acceptedBefore(redis, reservation.jobId), replayed: true };
    case "reserved":
    case "taken_over": {
      const settle = (outcome: "accepted" | "refused" | "unclear") =>
        // With Redis away the lease lapses by itself.
        settleKey(redis, keyed, reservation.holder, outcome, kept.keptSeconds).catch(() => {});
      try {
        const job = await accept(reservation.jobId);
        await settle("accepted");
        return { job, replayed: false };
      } catch (error) {
        const settled = settle(reservation.kind === "reserved" && isRefusal(error) ? "refused" : "unclear");
        // A caller is told within a second that Redis is away, which leaves no time to ask it once more.
        if (!isRedisAway(error)) await settled;
        throw error;
      }
    }
  }
}

/** The caller's own fault, which is found before anything is written. */
function isRefusal(error: unknown): boolean {
  return error instanceof QuernError && httpStatusOf(error.code) < 500;
}

async function acceptedBefore(redis: Redis, jobId: string): Promise<SubmittedJob> {
  const record = await readJob(redis, jobId);
  if (record !== null) return record;
  throw new QuernError(
    "idempotency_key_expired",
    `the request with this Idempotency-Key became ${jobId}, which is no longer kept; draw a new key to run it again`,
  );
}
