import type { FileStore } from "@quern/shared/files/file-store";
import type { Retention } from "@quern/shared/process/retention";
import type { Redis } from "ioredis";
import type { Admission } from "../admission/admit.ts";
import type { WebhookRules } from "../admission/admit-webhook.ts";
import type { EvictionWatch } from "../admission/eviction-watch.ts";
import type { SubmitTurns } from "../admission/submit-turns.ts";
import type { JobQueues } from "../dispatch/job-queues.ts";
import type { Arrivals } from "../estimate/arrivals.ts";
import type { EventHub } from "../follow/event-hub.ts";

/** What routes work with. */
export interface RouteContext extends Admission {
  redis: Redis;
  queues: JobQueues;
  fileStore: FileStore;
  hub: EventHub;
  arrivals: Arrivals;
  /** Of batches that don't say so themselves. */
  batchDedupe: boolean;
  webhookRules: WebhookRules;
  evictionWatch: EvictionWatch;
  submitTurns: SubmitTurns;
  maxFileBytes: number;
  retention: Retention;
  /** How long an Idempotency-Key is kept. */
  idempotencySeconds: number;
  /** Aborts when the gateway drains: it finishes what it does, and accepts no more jobs. */
  draining: AbortSignal;
  /** Aborts when its time is up: whoever waits is answered as things stand. */
  closing: AbortSignal;
}
