import { QuernError } from "@quern/shared/contract/errors";
import type { JobClass, JobRequest, NewJob } from "@quern/shared/contract/job";
import { jobSizeOf } from "@quern/shared/contract/job-size";
import { type DeadlineWish, toDeadlineAtMs } from "@quern/shared/openai/deadline";
import type { Redis } from "ioredis";
import type { Arrival } from "../estimate/arrivals.ts";
import { estimateOf, type Forecast, forecast } from "../estimate/forecast.ts";
import { MEDIAN, NINE_IN_TEN, ONE_IN_TEN, quantileMs } from "../estimate/lognormal.ts";
import type { KnownModel } from "./known-models.ts";

/**
 * What a job's times will be, and whether they keep to what its caller wants.
 * @throws QuernError as `admitDeadline` does.
 */
export async function admitTimes(
  redis: Redis,
  known: KnownModel,
  arrival: Arrival,
  asked: { class: JobClass; request: JobRequest; deadline: DeadlineWish },
): Promise<Pick<NewJob, "deadlineAtMs" | "size" | "estimate">> {
  const size = jobSizeOf(asked.request);
  const made = await forecast(redis, known, arrival, { class: asked.class, size });
  return { deadlineAtMs: admitDeadline(asked.deadline, made), size, estimate: estimateOf(made) };
}

/**
 * The job's deadline in Unix milliseconds of Redis' clock; null: none. One that nine of ten such jobs would miss is
 * refused, as far as anything was measured: a slot that is wasted on such a job is missing to one that can be in time.
 * @throws QuernError `invalid_request` for a deadline that has passed, `deadline_infeasible`.
 */
export function admitDeadline(wish: DeadlineWish, made: Forecast): number | null {
  const deadlineAtMs = toDeadlineAtMs(wish, made.nowMs);
  if (deadlineAtMs === null || made.expected === null) return deadlineAtMs;
  const { end } = made.expected;
  const allowedMs = deadlineAtMs - made.nowMs;
  if (quantileMs(end, ONE_IN_TEN) <= allowedMs) return deadlineAtMs;
  throw new QuernError(
    "deadline_infeasible",
    `the deadline is ${seconds(allowedMs)} away, but the job would end in about ${seconds(quantileMs(end, MEDIAN))} ` +
      `(90% within ${seconds(quantileMs(end, NINE_IN_TEN))}) as queue and workers stand. Allow that long, lower ` +
      "max_tokens, or try again when less is queued",
  );
}

function seconds(timeMs: number): string {
  return `${(timeMs / 1_000).toFixed(timeMs < 10_000 ? 2 : 0)} s`;
}
