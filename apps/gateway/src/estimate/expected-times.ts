import type { JobSize, NoEstimateReason, Quantiles } from "@quern/shared/contract/estimate";
import type { JobClass } from "@quern/shared/contract/job";
import type { WorkerRates } from "@quern/shared/contract/rates";
import type { KnownModel } from "../admission/known-models.ts";
import type { QueueLengths } from "../dispatch/queue-lengths.ts";
import { endsBefore, type QueueAhead, timeOfJob, timeToStart } from "./estimator.ts";
import { add, MEDIAN, NINE_IN_TEN, quantileMs, type TimeMs } from "./lognormal.ts";
import { poolRates } from "./pooled-rates.ts";

/** Of a job that waits, or is about to; from now. */
export interface ExpectedTimes {
  start: TimeMs;
  end: TimeMs;
  /** How many other jobs have to end before its turn. */
  endsBefore: number;
}

/** As far as the workers of its model have measured anything; otherwise why not. */
export function expectedTimes(
  known: KnownModel,
  jobClass: JobClass,
  size: JobSize,
  ahead: QueueAhead,
): ExpectedTimes | NoEstimateReason {
  if (ahead.slots === 0) return "no_worker";
  const rates = ratesOf(known);
  const start = rates === null ? null : timeToStart(jobClass, ahead, rates);
  const own = rates === null ? null : timeOfJob(jobClass, size, ahead, rates);
  return start === null || own === null
    ? "no_measurement"
    : { start, end: add(start, own), endsBefore: endsBefore(jobClass, ahead) };
}

/** `place`: in the queue of its own class, from 1. Only workers that take jobs have slots. */
export function aheadOf(
  { workers }: KnownModel,
  { waiting, active }: QueueLengths,
  jobClass: JobClass,
  place: number,
): QueueAhead {
  const ready = workers.filter(({ state }) => state === "ready");
  return {
    slots: ready.reduce((sum, { slots }) => sum + slots, 0),
    reservedSlots: ready.reduce((sum, { reservedSlots }) => sum + reservedSlots, 0),
    running: active,
    waiting:
      jobClass === "interactive"
        ? { interactive: place - 1, batch: 0 }
        : { interactive: waiting.interactive, batch: place - 1 },
  };
}

export function ratesOf({ workers }: KnownModel): WorkerRates | null {
  return poolRates(workers.map(({ rates }) => rates));
}

/** Unix milliseconds, by the clock of `nowMs`. */
export function quantilesAt(nowMs: number, time: TimeMs): Quantiles {
  const at = (normalQuantile: number) => Math.round(nowMs + quantileMs(time, normalQuantile));
  return { p50: at(MEDIAN), p90: at(NINE_IN_TEN) };
}
