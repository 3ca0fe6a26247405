import type { JobSize } from "@quern/shared/contract/estimate";
import type { JobClass } from "@quern/shared/contract/job";
import type { Lengths, LoadRates, Moments, WorkerRates } from "@quern/shared/contract/rates";
import { add, strayed, type TimeMs } from "./lognormal.ts";

/** What stands before a job, over all workers of its model. */
export interface QueueAhead {
  slots: number;
  /** Of these, how many batch jobs leave free. */
  reservedSlots: number;
  /** Jobs that have a slot. */
  running: Record<JobClass, number>;
  /** Jobs that wait and will get a slot before this one. */
  waiting: Record<JobClass, number>;
}

/** Before any was measured: the way through queue and lease on one machine. */
const DISPATCH_PRIOR: TimeMs = { meanMs: 20, variance: 20 ** 2 };
/** Few values say little about their spread: until there are more, a spread of half the mean weighs in. */
const PRIOR_SPREAD = 0.5;
const PRIOR_COUNT = 2;

/**
 * From now until the job has a slot. null: no job of a class that counts was measured.
 *
 * With `s` slots busy and `k` jobs to end before the job's turn, ends come at the rate `s / m`, where `m` is the mean
 * time that a job keeps its slot: the k-th comes after about `k·m/s`. The first of them is under way: it is half a
 * spread nearer (renewal theory's mean residual, `m(1+cv²)/2`, for one slot). As for the spread: the slots are at
 * different points of their jobs, so the first `s` ends come as if by chance, whatever the jobs' own spread; after
 * that they come as regularly as the jobs are alike.
 *
 * Jobs that arrive later and go first (interactive before batch) are not foreseen.
 */
export function timeToStart(jobClass: JobClass, ahead: QueueAhead, rates: WorkerRates): TimeMs | null {
  const dispatch = timeOf(rates.dispatchMs, DISPATCH_PRIOR);
  const endsNeeded = endsBefore(jobClass, ahead);
  if (endsNeeded === 0) return dispatch;
  const slots = slotsOf(jobClass, ahead);
  const occupancy = occupancyAhead(ahead, fullRates(rates, ahead.slots));
  if (occupancy === null) return null;
  const { meanMs, variance } = occupancy;
  const gapMs = meanMs / slots;
  // What takes no time that a clock could tell has no spread either.
  const squaredSpread = meanMs === 0 ? 0 : variance / meanMs ** 2;
  const underWay = Math.max((1 - squaredSpread) / 2, 0) / slots;
  const waitMs = (endsNeeded - underWay) * gapMs;
  const byChance = Math.min(endsNeeded, slots);
  const byJobs = (endsNeeded - byChance) * squaredSpread;
  const wait = { meanMs: waitMs, variance: gapMs ** 2 * (byChance + byJobs) };
  return add(strayed(wait, rates.drift), dispatch);
}

/** From the start of a job to its end. null: nothing was measured that tells. */
export function timeOfJob(
  jobClass: JobClass,
  size: JobSize,
  ahead: QueueAhead,
  rates: WorkerRates,
): TimeMs | null {
  // Whoever has to wait for a slot finds all of them busy when it is served.
  const isFull = endsBefore(jobClass, ahead) > 0 || occupiedShare(ahead) >= 0.75;
  const speeds = isFull ? fullRates(rates, ahead.slots) : (rates.light ?? rates.full);
  const lengths = rates.lengths[jobClass] ?? rates.lengths.interactive ?? rates.lengths.batch;
  if (speeds === null || lengths === null) return null;
  const promptTokens = size.promptCharacters * (lengths.tokensPerCharacter?.mean ?? 0);
  const prefill = timesCount(speeds.prefillMsPerToken, promptTokens);
  const time = add(add(timeOf(speeds.overheadMs), prefill), decodeTime(size, speeds, lengths));
  return strayed(time, rates.drift);
}

/** How many jobs have to end before this one's turn. Interactive jobs take the slots of batch jobs, which are parked. */
export function endsBefore(jobClass: JobClass, ahead: QueueAhead): number {
  const { running, waiting } = ahead;
  const before = jobClass === "interactive" ? running.interactive : running.interactive + running.batch;
  const free = slotsOf(jobClass, ahead) - before;
  const inFront = jobClass === "interactive" ? waiting.interactive : waiting.interactive + waiting.batch;
  return Math.max(inFront + 1 - Math.max(free, 0), 0);
}

function slotsOf(jobClass: JobClass, { slots, reservedSlots }: QueueAhead): number {
  return Math.max(jobClass === "interactive" ? slots : slots - reservedSlots, 1);
}

function occupiedShare({ slots, running, waiting }: QueueAhead): number {
  return (running.interactive + running.batch + waiting.interactive + 1) / slots;
}

/** How long one of the jobs in front keeps its slot, over those of both classes. */
function occupancyAhead({ running, waiting }: QueueAhead, rates: LoadRates | null): TimeMs | null {
  const { interactive, batch } = rates?.occupancyMs ?? { interactive: null, batch: null };
  const either = interactive ?? batch;
  if (either === null) return null;
  const times = { interactive: timeOf(interactive ?? either), batch: timeOf(batch ?? either) };
  const counts = {
    interactive: running.interactive + waiting.interactive,
    batch: running.batch + waiting.batch,
  };
  const all = counts.interactive + counts.batch;
  if (all === 0) return timeOf(either);
  const mix = (of: (time: TimeMs) => number) =>
    (of(times.interactive) * counts.interactive + of(times.batch) * counts.batch) / all;
  const meanMs = mix((time) => time.meanMs);
  return { meanMs, variance: mix((time) => time.variance + (time.meanMs - meanMs) ** 2) };
}

/**
 * Speeds with all slots busy. Where only a light load was seen, batching may cost between nothing and all of its gain:
 * the middle is taken, with a spread that reaches both.
 */
function fullRates({ light, full }: WorkerRates, slots: number): LoadRates | null {
  if (full !== null || light === null) return full;
  const slower = Math.sqrt(slots);
  const scaled = (moments: Moments | null): Moments | null => {
    if (moments === null) return null;
    const mean = moments.mean * slower;
    return { ...moments, mean, variance: (mean * (1 - 1 / slower)) ** 2 + moments.variance * slots };
  };
  return {
    prefillMsPerToken: scaled(light.prefillMsPerToken),
    decodeMsPerToken: scaled(light.decodeMsPerToken),
    overheadMs: light.overheadMs,
    occupancyMs: {
      interactive: scaled(light.occupancyMs.interactive),
      batch: scaled(light.occupancyMs.batch),
    },
  };
}

function decodeTime({ maxTokens }: JobSize, { decodeMsPerToken }: LoadRates, lengths: Lengths): TimeMs {
  if (decodeMsPerToken === null || lengths.completionTokens === null) return { meanMs: 0, variance: 0 };
  const tokens = completionTokens(maxTokens, lengths.completionTokens, lengths.completionShare);
  const pace = timeOf(decodeMsPerToken);
  return {
    meanMs: tokens.mean * pace.meanMs,
    variance: tokens.variance * pace.meanMs ** 2 + tokens.mean ** 2 * pace.variance,
  };
}

/** Answers may be about as long whatever is allowed, or use up what is allowed: whichever varied less is believed. */
function completionTokens(
  maxTokens: number | null,
  tokens: Moments,
  share: Moments | null,
): { mean: number; variance: number } {
  const spread = ({ mean, variance }: Moments) => variance / mean ** 2;
  const byShare = maxTokens !== null && share !== null && spread(share) < spread(tokens);
  const mean = byShare ? share.mean * maxTokens : Math.min(tokens.mean, maxTokens ?? tokens.mean);
  const variance = byShare ? share.variance * maxTokens ** 2 : tokens.variance;
  return { mean, variance };
}

function timesCount(moments: Moments | null, count: number): TimeMs {
  const { meanMs, variance } = timeOf(moments, { meanMs: 0, variance: 0 });
  return { meanMs: meanMs * count, variance: variance * count ** 2 };
}

function timeOf(moments: Moments | null, otherwise: TimeMs = { meanMs: 0, variance: 0 }): TimeMs {
  if (moments === null) return otherwise;
  const { count, mean, variance } = moments;
  const prior = (PRIOR_SPREAD * mean) ** 2;
  return { meanMs: mean, variance: (count * variance + PRIOR_COUNT * prior) / (count + PRIOR_COUNT) };
}
