import type { JobSize, Quantiles } from "@quern/shared/contract/estimate";
import type { JobSummary } from "@quern/shared/contract/job";
import type { JobTimes } from "@quern/shared/openai/job-object";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import type { Redis } from "ioredis";
import type { KnownModel, KnownModels } from "../admission/known-models.ts";
import { type QueueLengths, readQueueLengths } from "../dispatch/queue-lengths.ts";
import { timeOfJob } from "./estimator.ts";
import { aheadOf, expectedTimes, quantilesAt, ratesOf } from "./expected-times.ts";
import { remainingQuantileMs } from "./lognormal.ts";

export interface JobOutlook extends JobTimes {
  /** 1: it is the next one. null unless it is queued. */
  queuePosition: number | null;
}

/** Where outlooks come from: the queues' lengths, and what workers tell of themselves. */
export interface OutlookSources {
  redis: Redis;
  knownModels: KnownModels;
}

/** Of one job. */
export async function outlookOf(sources: OutlookSources, job: JobSummary): Promise<JobOutlook> {
  const [outlook] = await outlooksOf(sources, [job]);
  return outlook ?? NO_OUTLOOK;
}

/** When jobs will begin and end, as it looks now: one round trip to Redis for each of their models. */
export async function outlooksOf(
  { redis, knownModels }: OutlookSources,
  jobs: readonly JobSummary[],
): Promise<JobOutlook[]> {
  const open = jobs.filter(({ state }) => state === "queued" || state === "running");
  if (open.length === 0) return jobs.map(() => NO_OUTLOOK);
  const [nowMs, models] = await Promise.all([redisNowMs(redis), knownModels.list()]);
  const outlooks = new Map<string, JobOutlook>();
  await Promise.all(
    [...Map.groupBy(open, ({ model }) => model)].map(async ([model, ofModel]) => {
      const lengths = await readQueueLengths(redis, model, ofModel);
      const known = models.find(({ description }) => description.model === model) ?? null;
      for (const [at, job] of ofModel.entries()) {
        const place = lengths.places[at] ?? "not_waiting";
        outlooks.set(
          job.id,
          job.state === "running"
            ? runningOutlook(job, lengths, known, nowMs)
            : queuedOutlook(job, place, lengths, known, nowMs),
        );
      }
    }),
  );
  return jobs.map(({ id }) => outlooks.get(id) ?? NO_OUTLOOK);
}

/** The outlook of a job that has ended, or while Redis does not answer. */
export const NO_OUTLOOK: JobOutlook = { queuePosition: null, startAtMs: null, endAtMs: null, reason: null };

/** Of records from before there were sizes. */
const UNKNOWN_SIZE: JobSize = { promptCharacters: 0, maxTokens: null };

function queuedOutlook(
  job: JobSummary,
  place: QueueLengths["places"][number],
  lengths: QueueLengths,
  known: KnownModel | null,
  nowMs: number,
): JobOutlook {
  if (place === "not_waiting") return { ...NO_OUTLOOK, reason: "starting" };
  if (place === "beyond") return { ...NO_OUTLOOK, reason: "queue_too_long" };
  const queuePosition = job.class === "interactive" ? place : place + lengths.waiting.interactive;
  if (known === null) return { ...NO_OUTLOOK, queuePosition, reason: "no_worker" };
  const ahead = aheadOf(known, lengths, job.class, place);
  const expected = expectedTimes(known, job.class, job.size ?? UNKNOWN_SIZE, ahead);
  if (typeof expected === "string") return { ...NO_OUTLOOK, queuePosition, reason: expected };
  return {
    queuePosition,
    startAtMs: quantilesAt(nowMs, expected.start),
    endAtMs: atDeadline(job, quantilesAt(nowMs, expected.end)),
    reason: null,
  };
}

function runningOutlook(
  job: JobSummary,
  lengths: QueueLengths,
  known: KnownModel | null,
  nowMs: number,
): JobOutlook {
  if (known === null || known.workers.length === 0) return { ...NO_OUTLOOK, reason: "no_worker" };
  const { class: jobClass, size, claimedAtMs } = job;
  const others = Math.max(lengths.active[jobClass] - 1, 0);
  const beside = { ...lengths, active: { ...lengths.active, [jobClass]: others } };
  const rates = ratesOf(known);
  const time =
    rates === null
      ? null
      : timeOfJob(jobClass, size ?? UNKNOWN_SIZE, aheadOf(known, beside, jobClass, 1), rates);
  if (time === null) return { ...NO_OUTLOOK, reason: "no_measurement" };
  const elapsedMs = claimedAtMs === null ? 0 : nowMs - claimedAtMs;
  const at = (share: number) => Math.round(nowMs + remainingQuantileMs(time, elapsedMs, share));
  return { ...NO_OUTLOOK, endAtMs: atDeadline(job, { p50: at(0.5), p90: at(0.9) }) };
}

/** Whatever a job would take, it ends at its deadline. */
function atDeadline({ deadlineAtMs }: JobSummary, { p50, p90 }: Quantiles): Quantiles {
  if (deadlineAtMs === null) return { p50, p90 };
  return { p50: Math.min(p50, deadlineAtMs), p90: Math.min(p90, deadlineAtMs) };
}
