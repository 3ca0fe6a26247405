import { JOB_CLASSES, type JobClass } from "@quern/shared/contract/job";
import type { LoadRates, Moments, WorkerRates } from "@quern/shared/contract/rates";

/** Of several workers one: each measured value counts alike, whoever measured it. null: none of them has any. */
export function poolRates(workers: readonly (WorkerRates | null)[]): WorkerRates | null {
  const rates = workers.filter((one) => one !== null);
  if (rates.length === 0) return null;
  return {
    light: poolLoads(rates.map(({ light }) => light)),
    full: poolLoads(rates.map(({ full }) => full)),
    lengths: byClass((jobClass) => {
      const lengths = rates.map((one) => one.lengths[jobClass]).filter((one) => one !== null);
      if (lengths.length === 0) return null;
      return {
        tokensPerCharacter: poolMoments(lengths.map((one) => one.tokensPerCharacter)),
        completionTokens: poolQuantiles(lengths.map((one) => one.completionTokens)),
        completionShare: poolQuantiles(lengths.map((one) => one.completionShare)),
      };
    }),
    dispatchMs: poolMoments(rates.map(({ dispatchMs }) => dispatchMs)),
    drift: rates.reduce((sum, { drift }) => sum + drift, 0) / rates.length,
  };
}

function poolLoads(loads: readonly (LoadRates | null)[]): LoadRates | null {
  const measured = loads.filter((one) => one !== null);
  const overheadMs = poolMoments(measured.map((one) => one.overheadMs));
  if (overheadMs === null) return null;
  return {
    prefillMsPerToken: poolMoments(measured.map((one) => one.prefillMsPerToken)),
    decodeMsPerToken: poolMoments(measured.map((one) => one.decodeMsPerToken)),
    overheadMs,
    occupancyMs: byClass((jobClass) => poolMoments(measured.map((one) => one.occupancyMs[jobClass]))),
  };
}

function byClass<Value>(of: (jobClass: JobClass) => Value): Record<JobClass, Value> {
  return Object.fromEntries(JOB_CLASSES.map((jobClass) => [jobClass, of(jobClass)])) as Record<
    JobClass,
    Value
  >;
}

function poolMoments(all: readonly (Moments | null)[]): Moments | null {
  const measured = all.filter((one) => one !== null);
  const count = measured.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return null;
  const average = (of: (one: Moments) => number) =>
    measured.reduce((sum, one) => sum + of(one) * one.count, 0) / count;
  const mean = average((one) => one.mean);
  const variance = average((one) => one.variance + (one.mean - mean) ** 2);
  return { count, mean, variance };
}

type Quantiled = Moments & { p50: number; p90: number };

/** The quantiles of all are near the averages of each one's, where workers serve the same jobs. */
function poolQuantiles(all: readonly (Quantiled | null)[]): Quantiled | null {
  const moments = poolMoments(all);
  if (moments === null) return null;
  const measured = all.filter((one) => one !== null);
  const average = (of: (one: Quantiled) => number) =>
    measured.reduce((sum, one) => sum + of(one) * one.count, 0) / moments.count;
  return { ...moments, p50: average((one) => one.p50), p90: average((one) => one.p90) };
}
