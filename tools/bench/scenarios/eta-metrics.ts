import type { JobEstimate } from "@quern/shared/contract/estimate";
import { median, quantile } from "../figures/statistics.ts";

/** A job's times beside what was said at its submission. Unix milliseconds. */
export interface EtaSample {
  estimate: JobEstimate;
  startedAtMs: number;
  endedAtMs: number;
}

interface Calibration {
  /** The share of jobs that were earlier: a half is right. */
  beforeP50: number;
  /** Likewise; nine tenths are right. */
  beforeP90: number;
  /** Distance from the p50, by the time that it really took; the median over jobs. */
  medianError: number | null;
  /** How much later than the p50 the p90 is, as a ratio of the times from the submission; the median. */
  width: number | null;
}

export interface EtaMetrics {
  jobs: number;
  waitP50Ms: number | null;
  waitP90Ms: number | null;
  start: Calibration;
  end: Calibration;
}

/** How good the estimates of a round were. */
export function etaMetrics(samples: readonly EtaSample[]): EtaMetrics {
  const waits = samples.map(({ estimate, startedAtMs }) => startedAtMs - estimate.madeAtMs);
  return {
    jobs: samples.length,
    waitP50Ms: quantile(waits, 0.5),
    waitP90Ms: quantile(waits, 0.9),
    start: calibration(samples, "startAtMs", ({ startedAtMs }) => startedAtMs),
    end: calibration(samples, "endAtMs", ({ endedAtMs }) => endedAtMs),
  };
}

function calibration(
  samples: readonly EtaSample[],
  estimated: "startAtMs" | "endAtMs",
  cameAtMs: (sample: EtaSample) => number,
): Calibration {
  const before = (quantileName: "p50" | "p90") =>
    samples.filter((sample) => cameAtMs(sample) <= sample.estimate[estimated][quantileName]).length /
    samples.length;
  const errors = samples.map((sample) => {
    const { madeAtMs, [estimated]: times } = sample.estimate;
    return Math.abs(cameAtMs(sample) - times.p50) / Math.max(cameAtMs(sample) - madeAtMs, 1);
  });
  const widths = samples.map(({ estimate }) => {
    const { p50, p90 } = estimate[estimated];
    return (p90 - estimate.madeAtMs) / Math.max(p50 - estimate.madeAtMs, 1);
  });
  return {
    beforeP50: before("p50"),
    beforeP90: before("p90"),
    medianError: median(errors),
    width: median(widths),
  };
}
