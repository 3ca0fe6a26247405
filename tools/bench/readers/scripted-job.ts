import { randomUUIDv7 } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TokenEvent } from "@quern/shared/contract/token-event";
import { parseChatRequest } from "@quern/shared/openai/chat-request";
import { appendEvents, claimJob, commitJob, confirmJob, createJob } from "@quern/shared/redis/job-store";
import { enterLiveJob, settleEnded } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";

const TENANT = "default";

/**
 * A running job whose worker is the benchmark: its events come at a pace that no engine has to keep. It is in no queue, so
 * a scheduler would give it to another worker.
 */
export interface ScriptedJob {
  readonly id: string;
  /** Publishes one event after the other until `finished`, `perSecond` of them. */
  publish(perSecond: number, finished: AbortSignal): Promise<void>;
  /** How many it has published. */
  readonly published: number;
  /** Ends the job, and every stream of it. */
  end(): Promise<void>;
}

export async function startScriptedJob(redis: Redis, model: string): Promise<ScriptedJob> {
  const id = `job_${randomUUIDv7()}`;
  const job = {
    id,
    tenant: TENANT,
    model,
    endpoint: "/v1/chat/completions",
    class: "interactive",
    metadata: {},
    traceparent: null,
    createdAtMs: Date.now(),
    request: parseChatRequest(
      { model, messages: [{ role: "user", content: "Tell me a tale." }] },
      { drawSeed: () => 1 },
    ).generation,
  } as const;
  await createJob(redis, job);
  await enterLiveJob(redis, job);
  const claim = await claimJob(redis, id, Date.now());
  if (claim.kind !== "claimed") throw new Error(`the job of the readers is ${claim.kind}`);
  await confirmJob(redis, job);
  const attempt = { jobId: id, epoch: claim.record.attempt };
  let seq = claim.lastSeq;
  const next = (event: TokenEvent) => ({ seq: ++seq, event });
  let published = 0;
  return {
    id,
    get published() {
      return published;
    },
    publish: async (perSecond, finished) => {
      const beganMs = performance.now();
      while (!finished.aborted) {
        const due = Math.floor(((performance.now() - beganMs) / 1_000) * perSecond);
        for (; published < due; published += 1) {
          await appendEvents(
            redis,
            attempt,
            [next({ type: "delta", data: { text: ` word ${seq}` } })],
            Date.now(),
          );
        }
        await sleep(1_000 / perSecond, undefined, { signal: finished }).catch(() => {});
      }
    },
    end: async () => {
      const end = next({ type: "end", data: { status: "cancelled", usage: null, finish_reason: null } });
      await commitJob(
        redis,
        attempt,
        { state: "cancelled", usage: null, result: null, error: null, events: [end], retentionSeconds: 60 },
        Date.now(),
      );
      await settleEnded(redis, job);
    },
  };
}
