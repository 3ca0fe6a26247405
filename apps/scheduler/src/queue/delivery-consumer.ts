import { WEBHOOK_QUEUE_PREFIX } from "@quern/shared/contract/names";
import { pendingWebhook, type WebhookState } from "@quern/shared/contract/webhook";
import {
  dropDelivery,
  readDelivery,
  recordWebhook,
  type StoredDelivery,
} from "@quern/shared/redis/webhook-store";
import { type Job, UnrecoverableError, WaitingError, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { DeliveryLine, SchedulerEvents } from "../events.ts";
import { type DeliveryReply, deliver } from "../webhooks/deliver.ts";
import type { Resolve } from "../webhooks/receiver-addresses.ts";
import { pauseBeforeNextMs } from "../webhooks/retry-schedule.ts";
import { webhookId } from "../webhooks/webhook-body.ts";
import { DELIVERY_QUEUE, deliverySchema, type QueuedDelivery } from "./delivery-queue.ts";

/** Receivers that answer slowly hold a place for 15 s each. */
const CONCURRENT_DELIVERIES = 32;
/** A scheduler that vanished keeps its deliveries so long, and others look for such ones so often. */
const LEASE_MS = 10_000;
const STALLED_CHECK_INTERVAL_MS = 5_000;
/** BullMQ *fails* a job that stalls more often, whatever its attempts. */
const MAX_STALLED = 100;
const DRAIN_DELAY_SECONDS = 1;

export interface DeliveryConsumerOptions {
  redis: Redis;
  tenantSecrets: string[];
  privateReceivers: "allowed" | "refused";
  retrySeconds: readonly number[];
  resolve: Resolve;
  events: SchedulerEvents;
}

/** The attempt failed; BullMQ tries it again after a pause, as long as the schedule has one. */
class AttemptFailed extends Error {
  override readonly name = "AttemptFailed";
  readonly retryAfterMs: number | null;

  constructor(message: string, retryAfterMs: number | null) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Delivers webhooks: each is leased by one scheduler at a time, and tried again as the schedule says. */
export class DeliveryConsumer {
  readonly #options: DeliveryConsumerOptions;
  readonly #worker: Worker;
  /** Aborts when what runs has to go back to the queue. */
  readonly #giveUp = new AbortController();

  constructor(options: DeliveryConsumerOptions) {
    this.#options = options;
    const { redis, retrySeconds, events } = options;
    this.#worker = new Worker(DELIVERY_QUEUE, (job: Job, token?: string) => this.#process(job, token), {
      connection: redis,
      prefix: WEBHOOK_QUEUE_PREFIX,
      concurrency: CONCURRENT_DELIVERIES,
      autorun: false,
      lockDuration: LEASE_MS,
      stalledInterval: STALLED_CHECK_INTERVAL_MS,
      maxStalledCount: MAX_STALLED,
      drainDelay: DRAIN_DELAY_SECONDS,
      settings: {
        backoffStrategy: (attemptsMade, _type, error) => {
          const askedForMs = error instanceof AttemptFailed ? error.retryAfterMs : null;
          return pauseBeforeNextMs(retrySeconds, attemptsMade, askedForMs, Math.random);
        },
      },
    });
    this.#worker.on("error", events.redisError);
  }

  /** Resolves when deliveries are being taken. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    void this.#worker.run().catch(this.#options.events.redisError);
  }

  /** Takes nothing new; what runs may finish within `graceMs`, the rest goes back to the queue. With Redis away it lapses. */
  async drain(graceMs: number): Promise<void> {
    const isAway = this.#options.redis.status !== "ready";
    if (isAway) this.#giveUp.abort();
    // Force: it would wait for an answer that does not come.
    const closed = this.#worker.close(isAway);
    const giveUp = setTimeout(() => this.#giveUp.abort(), graceMs);
    await closed;
    clearTimeout(giveUp);
  }

  async #process(job: Job, token: string | undefined): Promise<void> {
    const delivery = deliverySchema.parse(job.data);
    const attempt = job.attemptsMade + 1;
    const beganMs = performance.now();
    const stored = await readDelivery(this.#options.redis, delivery.jobId);
    // The job was erased, or an attempt whose end BullMQ did not hear of has delivered it.
    if (stored === null) return;
    const reply = await this.#deliver(delivery, stored);
    const line = { jobId: delivery.jobId, host: new URL(delivery.url).host, attempt };
    const tell = (rest: Pick<DeliveryLine, "outcome" | "statusCode" | "error">) =>
      this.#options.events.deliveryTried({ ...line, ...rest, tookMs: performance.now() - beganMs });

    if (reply === "given_up") {
      tell({ outcome: "handed_back", statusCode: null, error: null });
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const state = stateAfter(delivery, reply, attempt, this.#options.retrySeconds.length);
    await this.#record(delivery.jobId, state);
    const { lastStatusCode: statusCode, lastError: error } = state;
    tell({ outcome: state.status === "pending" ? "retrying" : state.status, statusCode, error });
    if (reply.kind === "failed") throw new AttemptFailed(reply.error, reply.retryAfterMs);
    if (reply.kind === "unwanted") throw new UnrecoverableError("the receiver wants no more (410)");
  }

  async #deliver(
    { jobId, url, signer }: QueuedDelivery,
    { body, secret }: StoredDelivery,
  ): Promise<DeliveryReply | "given_up"> {
    const { privateReceivers, resolve, tenantSecrets } = this.#options;
    const secrets = signer === "tenant" ? tenantSecrets : secret === null ? [] : [secret];
    if (secrets.length === 0) {
      const error = "no secret is left that could sign it";
      return { kind: "failed", statusCode: null, error, retryAfterMs: null };
    }
    const { signal } = this.#giveUp;
    try {
      const options = { privateReceivers, resolve, nowMs: Date.now(), signal };
      return await deliver({ id: webhookId(jobId), url, body, secrets }, options);
    } catch (error) {
      if (signal.aborted) return "given_up";
      throw error;
    }
  }

  async #record(jobId: string, state: WebhookState): Promise<void> {
    const { redis } = this.#options;
    await recordWebhook(redis, jobId, state);
    if (state.status !== "pending") await dropDelivery(redis, jobId);
  }
}

function stateAfter(
  { url, signer }: QueuedDelivery,
  reply: DeliveryReply,
  attempts: number,
  maxAttempts: number,
): WebhookState {
  const state = { ...pendingWebhook(url, signer), attempts, lastStatusCode: reply.statusCode };
  switch (reply.kind) {
    case "delivered":
      return { ...state, status: "delivered" };
    case "unwanted":
      return { ...state, status: "disabled", lastError: "status 410: the receiver wants no more" };
    case "failed":
      return { ...state, status: attempts >= maxAttempts ? "failed" : "pending", lastError: reply.error };
  }
}
