import { QuernError } from "@quern/shared/contract/errors";
import { evictionFault, readEvictionPolicy } from "@quern/shared/redis/eviction-policy";
import { isRedisAway } from "@quern/shared/redis/redis-away";
import type { Redis } from "ioredis";

type Fitness = "unknown" | "fit" | { fault: string };

/**
 * Sees to it that no job is accepted by a Redis that may drop it. Redis is asked at every connect, by whoever asks
 * whether the gateway is ready, and, while it is not fit, before every job: it may be cured without a reconnect.
 */
export class EvictionWatch {
  readonly #redis: Redis;
  readonly #onFault: (fault: string) => void;
  #fitness: Fitness = "unknown";

  /** `onFault` hears of it once each time that Redis turns unfit. */
  constructor(redis: Redis, onFault: (fault: string) => void) {
    this.#redis = redis;
    this.#onFault = onFault;
    redis.on("ready", () => void this.look().catch(() => {}));
    redis.on("close", () => {
      this.#fitness = "unknown";
    });
  }

  /** Why Redis is not fit now; null: it is. Rejects when Redis is away. */
  async look(): Promise<string | null> {
    const fault = evictionFault(await this.#policy());
    const wasFit = typeof this.#fitness === "string";
    this.#fitness = fault === null ? "fit" : { fault };
    if (fault !== null && wasFit) this.#onFault(fault);
    return fault;
  }

  /** @throws QuernError `redis_evicts` with the cure. */
  async refuse(): Promise<void> {
    const fault = this.#fitness === "fit" ? null : await this.look();
    if (fault !== null) throw new QuernError("redis_evicts", `no job can be accepted: ${fault}`);
  }

  /** null where Redis does not tell us: then its policy is its owner's to see to. */
  async #policy(): Promise<string | null> {
    try {
      return await readEvictionPolicy(this.#redis);
    } catch (error) {
      if (isRedisAway(error)) throw error;
      return null;
    }
  }
}
