import type { JobEstimate, JobSize, NoEstimateReason } from "@quern/shared/contract/estimate";
import type { JobClass } from "@quern/shared/contract/job";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { Redis } from "ioredis";
import type { KnownModel } from "../admission/known-models.ts";
import { readQueueLengths } from "../dispatch/queue-lengths.ts";
import type { Arrival } from "./arrivals.ts";
import { aheadOf, type ExpectedTimes, expectedTimes, quantilesAt } from "./expected-times.ts";

/** `nowMs`: Unix milliseconds of Redis' clock, which deadlines are judged by as well. */
export type Forecast =
  | { nowMs: number; expected: ExpectedTimes }
  | { nowMs: number; expected: null; reason: NoEstimateReason };

/** Before a job is put at the end of its queue. */
export async function forecast(
  redis: Redis,
  known: KnownModel,
  arrival: Arrival,
  { class: jobClass, size }: { class: JobClass; size: JobSize },
): Promise<Forecast> {
  const [nowMs, lengths] = await Promise.all([
    redisNowMs(redis),
    readQueueLengths(redis, known.description.model, []),
  ]);
  const place = lengths.waiting[jobClass] + arrival.before + 1;
  const expected = expectedTimes(known, jobClass, size, aheadOf(known, lengths, jobClass, place));
  return typeof expected === "string" ? { nowMs, expected: null, reason: expected } : { nowMs, expected };
}

/** What the job's times are compared with later; null: there is nothing to compare. */
export function estimateOf(made: Forecast): JobEstimate | null {
  if (made.expected === null) return null;
  const { nowMs, expected } = made;
  const { start, end, endsBefore } = expected;
  return {
    madeAtMs: nowMs,
    endsBefore,
    startAtMs: quantilesAt(nowMs, start),
    endAtMs: quantilesAt(nowMs, end),
  };
}
