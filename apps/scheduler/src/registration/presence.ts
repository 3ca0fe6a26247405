import { schedulerKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";

const BEAT_INTERVAL_MS = 5_000;
const PRESENCE_TTL_MS = 15_000;

/** Says in Redis that the scheduler of this host lives; who restarts containers looks there (`deploy/scheduler-health.ts`). */
export class Presence {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #onError: (error: Error) => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(redis: Redis, host: string, onError: (error: Error) => void) {
    this.#redis = redis;
    this.#key = schedulerKey(host);
    this.#onError = onError;
  }

  async start(): Promise<void> {
    await this.#beat();
    this.#timer = setInterval(() => void this.#beat().catch(this.#onError), BEAT_INTERVAL_MS);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#redis.del(this.#key);
  }

  async #beat(): Promise<void> {
    await this.#redis.set(this.#key, String(process.pid), "PX", PRESENCE_TTL_MS);
  }
}
