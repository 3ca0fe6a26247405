import type { JobRecord } from "@quern/shared/contract/job";
import { queuePrefix } from "@quern/shared/contract/names";
import { UNCALIBRATED } from "@quern/shared/contract/rates";
import type { WorkerRegistration } from "@quern/shared/contract/worker";
import { claimJob, commitJob, type JobEnd } from "@quern/shared/redis/job-store";
import { registerWorker, unregisterWorker } from "@quern/shared/redis/registry";
import { Worker } from "bullmq";
import type { Redis } from "ioredis";

const REGISTER_INTERVAL_MS = 2_000;

/** How a line ends, whenever it does. */
export type RunLine = (record: JobRecord) => Promise<JobEnd> | JobEnd;

export interface LineConsumer extends AsyncDisposable {
  readonly id: string;
}

/** Takes lines of a model from its batch queue and commits their ends, as a worker with so many slots does, without an engine. */
export async function startLineConsumer(
  redis: Redis,
  { model, slots, run }: { model: string; slots: number; run: RunLine },
): Promise<LineConsumer> {
  const registration = registrationOf(model, slots);
  const register = () => registerWorker(redis, registration);
  await register();
  const renewal = setInterval(() => void register(), REGISTER_INTERVAL_MS);
  const worker = new Worker("batch", ({ id }) => runLine(redis, id as string, run), {
    connection: redis,
    prefix: queuePrefix(model),
    concurrency: slots,
    removeOnComplete: { count: 0 },
    drainDelay: 1,
  });
  await worker.waitUntilReady();
  return {
    id: registration.id,
    [Symbol.asyncDispose]: async () => {
      clearInterval(renewal);
      await worker.close();
      await unregisterWorker(redis, registration.id);
    },
  };
}

async function runLine(redis: Redis, jobId: string, run: RunLine): Promise<void> {
  const claim = await claimJob(redis, jobId, Date.now());
  if (claim.kind !== "claimed") return;
  await commitJob(redis, { jobId, epoch: claim.record.attempt }, await run(claim.record), Date.now());
}

export function answered(promptTokens = 10, completionTokens = 5): JobEnd {
  return {
    state: "completed",
    usage: { promptTokens, completionTokens, reasoningTokens: 0, cachedTokens: 0 },
    result: {
      text: "ok",
      reasoning: "",
      toolCalls: [],
      finishReason: "stop",
      logprobs: null,
      alternatives: [],
    },
    error: null,
    events: [],
    retentionSeconds: 60,
  };
}

export function failedWith(code: string): JobEnd {
  const error = { code, message: "it failed", param: null };
  return { ...answered(), state: "failed", usage: null, result: null, error };
}

function registrationOf(model: string, slots: number): WorkerRegistration {
  return {
    id: `${model}-worker`,
    host: "test",
    pid: process.pid,
    enginePid: null,
    slots,
    busy: 0,
    state: "ready",
    startedAtMs: Date.now(),
    lastSeenAtMs: Date.now(),
    reservedSlots: 0,
    batchSlots: null,
    rates: null,
    calibration: UNCALIBRATED,
    description: {
      model,
      aliases: [],
      kind: "chat",
      embeddingDimensions: null,
      architecture: "qwen3",
      parameters: 1,
      experts: null,
      contextTokens: 4_096,
      thinking: "never",
      fileBytes: 1,
      maxTokenBytes: null,
    },
  };
}
