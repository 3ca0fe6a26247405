import type { Redis } from "ioredis";
import type { Admission } from "../admission/admit.ts";
import type { WebhookRules } from "../admission/admit-webhook.ts";
import type { JobQueues } from "../dispatch/job-queues.ts";
import type { Arrivals } from "../estimate/arrivals.ts";
import type { EventHub } from "../follow/event-hub.ts";

/** What routes work with. */
export interface RouteContext extends Admission {
  redis: Redis;
  queues: JobQueues;
  hub: EventHub;
  arrivals: Arrivals;
  retentionSeconds: number;
  webhookRules: WebhookRules;
  /** Aborts when the gateway drains: whoever waits is answered as things stand. */
  draining: AbortSignal;
}
