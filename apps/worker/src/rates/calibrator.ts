import { metrics } from "@opentelemetry/api";
import type { JobRecord } from "@quern/shared/contract/job";
import { type Calibration, UNCALIBRATED } from "@quern/shared/contract/rates";
import { ATTRIBUTES, METRICS } from "@quern/shared/contract/telemetry-names";

/** Seconds, both ways: from a job of a tiny model to hours of a batch. */
const ERROR_BUCKETS_SECONDS = [
  -3_600, -600, -120, -30, -10, -3, -1, -0.3, -0.1, 0, 0.1, 0.3, 1, 3, 10, 30, 120, 600, 3_600,
];

type Estimated = Pick<JobRecord, "estimate" | "model" | "class">;

/** Compares what submitters were told with what came. All times are Unix milliseconds of Redis' clock. */
export class Calibrator {
  readonly #startError = errorHistogram(
    METRICS.startEstimateError,
    "Start of a job, after its estimated p50",
  );
  readonly #endError = errorHistogram(METRICS.endEstimateError, "End of a job, after its estimated p50");
  #counts: Calibration = UNCALIBRATED;

  get counts(): Calibration {
    return this.#counts;
  }

  /** Jobs without an estimate are passed over. */
  started(job: Estimated, atMs: number): void {
    if (job.estimate === null) return;
    const { p50, p90 } = job.estimate.startAtMs;
    const { starts, startsBeforeP50, startsBeforeP90 } = this.#counts;
    this.#counts = {
      ...this.#counts,
      starts: starts + 1,
      startsBeforeP50: startsBeforeP50 + Number(atMs <= p50),
      startsBeforeP90: startsBeforeP90 + Number(atMs <= p90),
    };
    this.#startError.record((atMs - p50) / 1_000, attributesOf(job));
  }

  /** Likewise. */
  ended(job: Estimated, atMs: number): void {
    if (job.estimate === null) return;
    const { p50, p90 } = job.estimate.endAtMs;
    const { ends, endsBeforeP50, endsBeforeP90 } = this.#counts;
    this.#counts = {
      ...this.#counts,
      ends: ends + 1,
      endsBeforeP50: endsBeforeP50 + Number(atMs <= p50),
      endsBeforeP90: endsBeforeP90 + Number(atMs <= p90),
    };
    this.#endError.record((atMs - p50) / 1_000, attributesOf(job));
  }
}

function errorHistogram(name: string, description: string) {
  return metrics.getMeter("quern-worker").createHistogram(name, {
    description,
    unit: "s",
    advice: { explicitBucketBoundaries: ERROR_BUCKETS_SECONDS },
  });
}

function attributesOf({ model, class: jobClass }: Estimated) {
  return { [ATTRIBUTES.genAiRequestModel]: model, [ATTRIBUTES.jobClass]: jobClass };
}
