import type { JobEstimate, JobSize, NoEstimateReason, Quantiles } from "@quern/shared/contract/estimate";
import type { JobClass, JobSummary } from "@quern/shared/contract/job";
import type { WorkerRates } from "@quern/shared/contract/rates";
import type { JobTimes } from "@quern/shared/openai/job-object";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { Redis } from "ioredis";
import type { KnownModel, KnownModels } from "../admission/known-models.ts";
import { type QueueLengths, readQueueLengths } from "../dispatch/queue-lengths.ts";
import type { Arrival } from "./arrivals.ts";
import { endsBefore, type QueueAhead, timeOfJob, timeToStart } from "./estimator.ts";
import { add, MEDIAN, NINE_IN_TEN, quantileMs, remainingQuantileMs, type TimeMs } from "./lognormal.ts";
import { poolRates } from "./pooled-rates.ts";

/** Where estimates come from: the queues' lengths, and what workers tell of themselves. */
export interface OutlookSources {
  redis: Redis;
  knownModels: KnownModels;
}

/** What a job looks like that is about to be submitted, in milliseconds from now. */
export interface ExpectedTimes {
  start: TimeMs;
  end: TimeMs;
  /** How many other jobs have to end before its turn. */
  endsBefore: number;
}

export type Forecast =
  | { nowMs: number; expected: ExpectedTimes }
  | { nowMs: number; expected: null; reason: NoEstimateReason };

/** Before a job is put at the end of its queue. */
export async function forecast(
  { redis }: Pick<OutlookSources, "redis">,
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

/** What the submitter is told, and the job's times are compared with later. */
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

export interface JobOutlook extends JobTimes {
  /** 1: it is the next one. null unless it is queued. */
  queuePosition: number | null;
}

/** Of one job. */
export async function outlookOf(sources: OutlookSources, job: JobSummary): Promise<JobOutlook> {
  const [outlook] = await outlooksOf(sources, [job]);
  return outlook ?? ENDED;
}

/** When jobs will begin and end, as it looks now: one round trip to Redis for each of their models. */
export async function outlooksOf(
  { redis, knownModels }: OutlookSources,
  jobs: readonly JobSummary[],
): Promise<JobOutlook[]> {
  const open = jobs.filter(({ state }) => state === "queued" || state === "running");
  const times = new Map<string, JobOutlook>();
  if (open.length > 0) {
    const [nowMs, models] = await Promise.all([redisNowMs(redis), knownModels.list()]);
    await Promise.all(
      [...Map.groupBy(open, ({ model }) => model)].map(async ([model, ofModel]) => {
        const lengths = await readQueueLengths(redis, model, ofModel);
        const known = models.find(({ description }) => description.model === model) ?? null;
        for (const [at, job] of ofModel.entries()) times.set(job.id, timesOf(job, at, lengths, known, nowMs));
      }),
    );
  }
  return jobs.map(({ id }) => times.get(id) ?? ENDED);
}

const ENDED: JobOutlook = { queuePosition: null, startAtMs: null, endAtMs: null, reason: null };

function timesOf(
  job: JobSummary,
  at: number,
  lengths: QueueLengths,
  known: KnownModel | null,
  nowMs: number,
): JobOutlook {
  if (job.state === "running") return runningTimes(job, lengths, known, nowMs);
  const place = lengths.places[at] ?? "not_waiting";
  if (place === "not_waiting") return { ...ENDED, reason: "starting" };
  if (place === "beyond") return { ...ENDED, reason: "queue_too_long" };
  const queuePosition = job.class === "interactive" ? place : place + lengths.waiting.interactive;
  if (known === null) return { ...ENDED, queuePosition, reason: "no_worker" };
  const expected = expectedTimes(
    known,
    job.class,
    job.size ?? UNKNOWN_SIZE,
    aheadOf(known, lengths, job.class, place),
  );
  if (typeof expected === "string") return { ...ENDED, queuePosition, reason: expected };
  const startAtMs = quantilesAt(nowMs, expected.start);
  return { queuePosition, startAtMs, endAtMs: quantilesAt(nowMs, expected.end), reason: null };
}

const UNKNOWN_SIZE: JobSize = { promptCharacters: 0, maxTokens: null };

function runningTimes(
  { class: jobClass, size, claimedAtMs }: JobSummary,
  lengths: QueueLengths,
  known: KnownModel | null,
  nowMs: number,
): JobOutlook {
  if (known === null || known.workers.length === 0) return { ...ENDED, reason: "no_worker" };
  const rates = ratesOf(known);
  const ahead = aheadOf(known, lengths, jobClass, 1);
  const time = rates === null ? null : timeOfJob(jobClass, size ?? UNKNOWN_SIZE, ahead, rates);
  if (time === null) return { ...ENDED, reason: "no_measurement" };
  const elapsedMs = claimedAtMs === null ? 0 : nowMs - claimedAtMs;
  const at = (share: number) => Math.round(nowMs + remainingQuantileMs(time, elapsedMs, share));
  return { queuePosition: null, startAtMs: null, endAtMs: { p50: at(0.5), p90: at(0.9) }, reason: null };
}

/** `place`: in the queue of its own class, from 1. */
function aheadOf(known: KnownModel, lengths: QueueLengths, jobClass: JobClass, place: number): QueueAhead {
  const ready = known.workers.filter(({ state }) => state === "ready");
  const { interactive } = lengths.waiting;
  return {
    slots: ready.reduce((sum, { slots }) => sum + slots, 0),
    reservedSlots: ready.reduce((sum, { reservedSlots }) => sum + reservedSlots, 0),
    running: lengths.active,
    waiting:
      jobClass === "interactive" ? { interactive: place - 1, batch: 0 } : { interactive, batch: place - 1 },
  };
}

function expectedTimes(
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

function ratesOf({ workers }: KnownModel): WorkerRates | null {
  return poolRates(workers.map(({ rates }) => rates));
}

function quantilesAt(nowMs: number, time: TimeMs): Quantiles {
  const at = (normalQuantile: number) => Math.round(nowMs + quantileMs(time, normalQuantile));
  return { p50: at(MEDIAN), p90: at(NINE_IN_TEN) };
}
