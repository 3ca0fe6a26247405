import { setTimeout as sleep } from "node:timers/promises";
import { HEARTBEAT_INTERVAL_MS, type WorkerRegistration } from "@quern/shared/contract/worker";
import { registerWorker, unregisterWorker } from "@quern/shared/redis/registry";
import type { Redis } from "ioredis";

const GOODBYE_TIMEOUT_MS = 1_000;

/** What changes about a worker while it lives is asked anew at every beat. */
export type CurrentRegistration = () => WorkerRegistration;

/** Keeps this worker visible to gateways; every change that matters is told at once by `beat`. */
export class Heartbeat {
  readonly #redis: Redis;
  readonly #current: CurrentRegistration;
  readonly #stop = new AbortController();
  #beating: Promise<void> = Promise.resolve();
  #regular: Promise<void> = Promise.resolve();

  constructor(redis: Redis, current: CurrentRegistration) {
    this.#redis = redis;
    this.#current = current;
  }

  /** Resolves when the worker is visible. */
  async start(): Promise<void> {
    await this.beat();
    this.#regular = this.#beatRegularly();
  }

  /** One beat after another: an older state must not overwrite a newer one. */
  beat(): Promise<void> {
    // While Redis is away a beat waits for it; a failed one is made up for by the next.
    this.#beating = this.#beating.then(() => registerWorker(this.#redis, this.#current())).catch(() => {});
    return this.#beating;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    const gone = this.#regular
      .then(() => this.#beating)
      .then(() => unregisterWorker(this.#redis, this.#current().id))
      .catch(() => {});
    // With Redis away the registration lapses by itself; nobody waits for that.
    await Promise.race([gone, sleep(GOODBYE_TIMEOUT_MS, undefined, { ref: false })]);
  }

  async #beatRegularly(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await sleep(HEARTBEAT_INTERVAL_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.beat();
    }
  }
}
