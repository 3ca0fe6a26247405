import type { JobRecord } from "@quern/shared/contract/job";
import type { Logger } from "@quern/shared/process/logger";
import type { AttemptOutcome } from "./consumer/attempt.ts";
import type { ConsumerEvents } from "./consumer/job-consumer.ts";
import type { EngineOptions, LoadedModelFacts } from "./protocol/engine-options.ts";

/** Everything a worker tells about itself: one function per business event, one log line each. Never any text of a job. */
export interface WorkerEvents extends ConsumerEvents {
  modelLoaded(model: string, options: EngineOptions, facts: LoadedModelFacts, tookMs: number): void;
  modelDownloading(model: string, percent: number): void;
  engineReady(enginePid: number): void;
  engineDied(enginePid: number, death: string, runningJobs: number): void;
  unhealthy(reason: string): void;
  recovered(): void;
  engineRestartFailed(error: Error, retryInMs: number): void;
  /** It may drop jobs, or does not tell. */
  redisUnfit(error: Error): void;
  draining(runningJobs: number): void;
  drained(): void;
}

export function workerEvents(log: Logger): WorkerEvents {
  const redisErrors = onceInAWhile();
  return {
    modelLoaded(model, options, facts, tookMs) {
      const { architecture, parameters, activeParameters, experts, quantization, device, gpuLayers } = facts;
      log.info(
        {
          model,
          architecture,
          parameters: withUnit(parameters),
          ...(experts === null
            ? { experts: "dense" }
            : {
                experts: `${experts.used} of ${experts.total} active`,
                active_parameters: withUnit(activeParameters),
              }),
          quantization,
          trained_context_tokens: facts.trainedContextTokens,
          device,
          ...(device === "cpu" ? {} : { gpu_layers: gpuLayers }),
          ...(facts.memory === null ? {} : { planned: facts.memory }),
          slots: options.slots,
          kv_type: options.kvType,
          context_tokens_per_slot: options.contextTokens,
          threads: options.threads,
          weights: mebibytes(facts.weightsBytes),
          kv_and_buffers: mebibytes(facts.contextBytes),
          took_ms: Math.round(tookMs),
        },
        "model loaded",
      );
    },
    modelDownloading: (model, percent) => log.info({ model, percent }, "downloading the model"),
    engineReady: (enginePid) => log.info({ engine_pid: enginePid }, "engine is ready, taking jobs"),
    engineDied: (enginePid, death, runningJobs) =>
      log.error({ engine_pid: enginePid, death, running_jobs: runningJobs }, "engine died, restarting it"),
    unhealthy: (reason) =>
      log.error(
        { reason },
        "unhealthy: engines died 5 times within 5 minutes. Trying on less often; look at the reason, at the machine's " +
          "memory and at its GPU, then start the worker anew, if need be with fewer slots or a smaller context",
      ),
    recovered: () => log.info("healthy again: the engine has run without a fault"),
    engineRestartFailed: (error, retryInMs) =>
      log.error({ reason: error.message, retry_in_ms: retryInMs }, "engine did not come back"),
    attemptEnded: (record, outcome, nowMs) => {
      const line = attemptLine(record, outcome, nowMs);
      if (outcome.error === null) log.info(line, `job ${outcome.end}`);
      else log.warn(line, `job ${outcome.end}`);
    },
    jobExpired: (jobId) => log.info({ job: jobId }, "job expired before it began"),
    attemptBroke: (jobId, error) => log.error({ job: jobId, err: error }, "attempt broke off, trying again"),
    redisError: (error) => {
      if (redisErrors()) log.warn({ reason: error.message }, "Redis does not answer; waiting for it");
    },
    redisUnfit: (error) => log.error({ reason: error.message }, "Redis may not be fit to hold jobs"),
    draining: (runningJobs) => log.info({ running_jobs: runningJobs }, "draining: taking nothing new"),
    drained: () => log.info("drained"),
  };
}

function attemptLine(record: JobRecord, { answer, error }: AttemptOutcome, nowMs: number): object {
  const { id, model, attempt, queuedAtMs } = record;
  const line = { job: id, model, attempt, total_ms: nowMs - queuedAtMs };
  if (error !== null) return { ...line, code: error.code, reason: error.message };
  if (answer === null) return line;
  const { usage, timings } = answer;
  const { slotAtMs, firstTokenAtMs, endedAtMs } = timings;
  const decodeMs = endedAtMs - (firstTokenAtMs ?? endedAtMs);
  return {
    ...line,
    waited_ms: Math.round(slotAtMs - queuedAtMs),
    ttft_ms: firstTokenAtMs === null ? null : Math.round(firstTokenAtMs - queuedAtMs),
    slot_ms: Math.round(endedAtMs - slotAtMs),
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    tokens_per_s: decodeMs > 0 ? Math.round((usage.completionTokens / decodeMs) * 1_000) : null,
  };
}

/** An outage produces an error per connection and retry: one line in five seconds tells it as well. */
function onceInAWhile(): () => boolean {
  let quietUntilMs = 0;
  return () => {
    if (performance.now() < quietUntilMs) return false;
    quietUntilMs = performance.now() + 5_000;
    return true;
  };
}

function withUnit(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}B`;
  return `${(count / 1e6).toFixed(1)}M`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
