import type { BatchRecord } from "@quern/shared/contract/batch";
import { QuernError } from "@quern/shared/contract/errors";
import type { Logger } from "@quern/shared/process/logger";

/** How a job got into a state that its queue does not know of. */
export type Mend = "reference_added" | "handed_back";

/** One attempt at a webhook, in words for the log. Never its URL, which may hold a token, nor its body. */
export interface DeliveryLine {
  jobId: string;
  host: string;
  attempt: number;
  outcome: "delivered" | "retrying" | "failed" | "disabled" | "handed_back";
  statusCode: number | null;
  error: string | null;
  tookMs: number;
}

/** Everything a scheduler tells about itself: one function per business event. Never a secret, never a text of a job. */
export interface SchedulerEvents {
  ready(): void;
  sweeping(): void;
  jobSettled(jobId: string, state: string): void;
  jobForgotten(jobId: string): void;
  jobExpired(jobId: string): void;
  jobMended(jobId: string, mend: Mend): void;
  jobUnleased(jobId: string, ageMs: number): void;
  sweepBroke(jobId: string, error: Error): void;
  /** `unfinished`: nobody finished to write it, or to delete it. */
  fileRemoved(fileId: string, why: "expired" | "unfinished"): void;
  leftoversRemoved(count: number): void;
  /** null: no one file is to blame. */
  fileSweepBroke(fileId: string | null, error: Error): void;
  /** Ids whose records have expired were removed from a tenant's list. */
  indexTrimmed(what: "jobs" | "batches", removed: number): void;
  deliveryTried(line: DeliveryLine): void;
  batchTaken(batchId: string, epoch: number): void;
  batchMoved(batchId: string, status: string): void;
  batchAwaitsModel(batchId: string, model: string): void;
  batchEnded(record: BatchRecord): void;
  batchBroke(batchId: string, error: Error, retryInMs: number): void;
  lineBroke(batchId: string, index: number, error: Error): void;
  batchQueued(batchId: string): void;
  batchForgotten(batchId: string): void;
  feeding(model: string): void;
  inputUnreadable(batchId: string, error: Error): void;
  redisError(error: Error): void;
  draining(): void;
  drained(): void;
  drainLost(): void;
}

export function schedulerEvents(log: Logger): SchedulerEvents {
  let redisQuietUntilMs = 0;
  return {
    ready: () => log.info("scheduler is ready"),
    sweeping: () => log.info("this scheduler sweeps now"),
    jobSettled: (job, state) => log.info({ job, state }, "job settled that was left over"),
    jobForgotten: (job) => log.warn({ job }, "job has no record any more; it counts as never accepted"),
    jobExpired: (job) => log.info({ job }, "job expired while it waited"),
    jobMended: (job, mend) => log.warn({ job, mend }, "job was in no queue any more; it is again"),
    jobUnleased: (job, ageMs) =>
      log.warn(
        { job, age_s: Math.round(ageMs / 1_000) },
        "job runs without a lease, and nobody takes it over",
      ),
    sweepBroke: (job, error) => log.error({ job, err: error }, "job could not be swept; trying again"),
    fileRemoved: (file, why) => log.info({ file, why }, "file removed"),
    leftoversRemoved: (count) => log.info({ count }, "leftovers of uploads removed"),
    fileSweepBroke: (file, error) =>
      log.error(
        { ...(file === null ? {} : { file }), err: error },
        "files could not be removed; trying again",
      ),
    indexTrimmed: (list, removed) =>
      log.info({ list, removed }, "ids of expired records removed from a list"),
    deliveryTried: ({ jobId, host, attempt, outcome, statusCode, error, tookMs }) => {
      const line = {
        job: jobId,
        host,
        attempt,
        ...(statusCode === null ? {} : { status: statusCode }),
        ...(error === null ? {} : { reason: error }),
        ms: Math.round(tookMs),
      };
      if (outcome === "delivered") log.info(line, "webhook delivered");
      else log.warn(line, `webhook ${outcome.replace("_", " ")}`);
    },
    batchTaken: (batch, epoch) => log.info({ batch, epoch }, "this scheduler keeps the batch now"),
    batchMoved: (batch, status) => log.info({ batch, status }, "batch moved on"),
    batchAwaitsModel: (batch, model) =>
      log.warn({ batch, model }, "no worker serves the batch's model yet; waiting for one"),
    batchEnded: ({ id, tenant, status, model, total, completed, failed, usage, createdAtMs }) =>
      log.info(
        {
          batch: id,
          tenant,
          status,
          model,
          total,
          completed,
          failed,
          input_tokens: usage.promptTokens,
          output_tokens: usage.completionTokens,
          age_s: Math.round((Date.now() - createdAtMs) / 1_000),
        },
        "batch is over",
      ),
    batchBroke: (batch, error, retryInMs) => {
      const line = { batch, retry_in_s: retryInMs / 1_000 };
      // Ours say in their message what the cure is.
      if (error instanceof QuernError)
        log.warn({ ...line, reason: error.message }, "batch can't go on just now");
      else log.error({ ...line, err: error }, "batch could not be kept; trying again");
    },
    lineBroke: (batch, index, error) =>
      log.error({ batch, index, err: error }, "answer to a line of the batch could not be written"),
    batchQueued: (batch) => log.warn({ batch }, "batch was in no queue any more; it is again"),
    batchForgotten: (batch) => log.warn({ batch }, "batch has no record; it counts as never accepted"),
    feeding: (model) => log.info({ model }, "this scheduler feeds the batches of the model now"),
    inputUnreadable: (batch, error) =>
      log.warn({ batch, reason: error.message }, "input of the batch can't be read; trying again"),
    redisError: (error) => {
      if (performance.now() < redisQuietUntilMs) return;
      redisQuietUntilMs = performance.now() + 5_000;
      log.warn({ reason: error.message || String(error) }, "Redis does not answer; waiting for it");
    },
    draining: () => log.info("draining: no new deliveries"),
    drained: () => log.info("drained"),
    drainLost: () => log.warn("Redis did not answer while draining: what was begun is left to lapse"),
  };
}
