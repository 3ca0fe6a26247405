import { JOB_CLASSES } from "@quern/shared/contract/job";
import type { Calibration, Moments, WorkerRates } from "@quern/shared/contract/rates";

/** What was measured of the jobs that were served last, under full load where there was any. */
export interface SpeedObject {
  prefill_tokens_per_second: number | null;
  decode_tokens_per_second: number | null;
  job_seconds: number;
}

/** null: nothing was. */
export function speedObject(rates: WorkerRates | null): SpeedObject | null {
  const speeds = rates?.full ?? rates?.light ?? null;
  if (speeds === null) return null;
  const occupancies = JOB_CLASSES.map((jobClass) => speeds.occupancyMs[jobClass]).filter(
    (one) => one !== null,
  );
  const jobs = occupancies.reduce((sum, { count }) => sum + count, 0);
  const totalMs = occupancies.reduce((sum, { count, mean }) => sum + count * mean, 0);
  return {
    prefill_tokens_per_second: perSecond(speeds.prefillMsPerToken),
    decode_tokens_per_second: perSecond(speeds.decodeMsPerToken),
    job_seconds: rounded(totalMs / jobs / 1_000),
  };
}

interface Coverage {
  jobs: number;
  before_p50: number;
  before_p90: number;
}

/** Which share of jobs began and ended before their estimates. */
export interface CoverageObject {
  start: Coverage | null;
  end: Coverage | null;
}

/** null: nothing was estimated yet. */
export function coverageObject(calibrations: readonly Calibration[]): CoverageObject | null {
  const sum = (key: keyof Calibration) => calibrations.reduce((total, one) => total + one[key], 0);
  const start = coverageOf(sum("starts"), sum("startsBeforeP50"), sum("startsBeforeP90"));
  const end = coverageOf(sum("ends"), sum("endsBeforeP50"), sum("endsBeforeP90"));
  return start === null && end === null ? null : { start, end };
}

function coverageOf(jobs: number, beforeP50: number, beforeP90: number): Coverage | null {
  if (jobs === 0) return null;
  return { jobs, before_p50: rounded(beforeP50 / jobs), before_p90: rounded(beforeP90 / jobs) };
}

function perSecond(msPerToken: Moments | null): number | null {
  return msPerToken === null || msPerToken.mean <= 0 ? null : rounded(1_000 / msPerToken.mean);
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
