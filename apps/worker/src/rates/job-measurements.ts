import { isEmbeddingRequest, type JobRecord } from "@quern/shared/contract/job";
import { jobSizeOf } from "@quern/shared/contract/job-size";
import type { Calibration, WorkerRates } from "@quern/shared/contract/rates";
import type { Embedded, Generated } from "../protocol/engine-messages.ts";
import { Calibrator } from "./calibrator.ts";
import { ServiceRates } from "./service-rates.ts";

/** A job that got its slot later than that was taken ahead, and kept nobody waiting until then. */
const WAITED_AHEAD_MS = 50;

/** What an attempt came to, as far as it is measured. */
interface MeasuredOutcome {
  end: string;
  answer: Generated | Embedded | null;
}

/** One attempt being measured. */
interface MeasuredAttempt {
  /** `load`: the share of slots that have a job, as the attempt ends. */
  end(outcome: MeasuredOutcome, load: number): void;
}

/** All that a worker measures of its jobs: how fast they are, and how good the estimates of their times were. */
export class JobMeasurements {
  readonly #rates = new ServiceRates();
  readonly #calibrator = new Calibrator();

  /** `load`: the share of slots that have a job, as the attempt begins, this one included. */
  begin(record: JobRecord, load: number): MeasuredAttempt {
    const [beganMs, beganAtMs] = [performance.now(), Date.now()];
    this.#begun(record, load);
    return {
      end: (outcome, loadAtEnd) => {
        const { answer, end } = outcome;
        if (end !== "completed" || answer === null) return;
        const { slotAtMs, endedAtMs } = answer.timings;
        const waitedMs = slotAtMs - beganAtMs;
        const heldMs = performance.now() - beganMs;
        const occupancyMs =
          waitedMs > WAITED_AHEAD_MS ? Math.max(heldMs - waitedMs, endedAtMs - slotAtMs) : heldMs;
        const { request } = record;
        this.#rates.served({
          class: record.class,
          occupancyMs,
          load: (load + loadAtEnd) / 2,
          size: record.size ?? jobSizeOf(request),
          choices: isEmbeddingRequest(request) ? 1 : request.choices,
          usage: answer.usage,
          timings: answer.timings,
        });
        if (record.claimedAtMs !== null) this.#calibrator.ended(record, record.claimedAtMs + heldMs);
      },
    };
  }

  current(): { rates: WorkerRates | null; calibration: Calibration } {
    return { rates: this.#rates.current(), calibration: this.#calibrator.counts };
  }

  #begun(record: JobRecord, load: number): void {
    const { claimedAtMs, estimate, attempt } = record;
    if (attempt > 1 || claimedAtMs === null || estimate === null) return;
    this.#calibrator.started(record, claimedAtMs);
    if (estimate.endsBefore > 0) {
      this.#rates.beganQueued(claimedAtMs <= estimate.startAtMs.p90 ? "in_time" : "late");
    }
    // A slot was free, and one still is: nothing but the way here kept it waiting.
    if (estimate.endsBefore === 0 && load < 1) this.#rates.dispatched(claimedAtMs - estimate.madeAtMs);
  }
}
