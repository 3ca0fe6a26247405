import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { loadScript, runScript } from "./script.ts";

const RENEW = loadScript("renew_lock.lua");
const RELEASE = loadScript("release_lock.lua");

/**
 * A lock that lapses unless its holder renews it, so that one who dies is replaced. It saves work and guards nothing: a
 * holder that was stopped for long finds out late, so what it does must be harmless when two do it.
 */
export class TimedLock {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #ttlMs: number;
  readonly #token = randomUUID();

  constructor(redis: Redis, key: string, ttlMs: number) {
    this.#redis = redis;
    this.#key = key;
    this.#ttlMs = ttlMs;
  }

  /** Takes the lock if it is free and keeps it if it is ours: whether we have it for `ttlMs` from now. */
  async hold(): Promise<boolean> {
    if ((await runScript(this.#redis, RENEW, [this.#key], [this.#token, this.#ttlMs])) === 1) return true;
    return (await this.#redis.set(this.#key, this.#token, "PX", this.#ttlMs, "NX")) === "OK";
  }

  /** The next one need not wait for it to lapse. */
  async release(): Promise<void> {
    await runScript(this.#redis, RELEASE, [this.#key], [this.#token]);
  }
}
