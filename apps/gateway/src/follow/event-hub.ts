import { eventsKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";

/** Announcements kept for one follower; one that falls further behind reads them from Redis. */
const MAX_KEPT_ANNOUNCEMENTS = 256;

/** What one follower has heard since it last looked. */
export interface Listener extends AsyncDisposable {
  /** Announcements in order; null: some were missed, the stream itself must be read. */
  take(): string[] | null;
  /** Resolves when there is something to take, after `timeoutMs`, or when `signal` aborts. */
  heard(timeoutMs: number, signal: AbortSignal): Promise<void>;
}

/**
 * One Pub/Sub connection for all that a gateway follows. Announcements can be missed (the connection was away), so a
 * follower takes them as a hint and the stream in Redis as the truth.
 */
export class EventHub {
  readonly #subscriber: Redis;
  readonly #listeners = new Map<string, Set<HubListener>>();

  /** `subscriber` may have other uses. */
  constructor(subscriber: Redis) {
    this.#subscriber = subscriber;
    subscriber.on("message", (channel, message) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.push(message);
    });
    // ioredis subscribes again by itself; what was announced meanwhile is missed.
    subscriber.on("ready", () => {
      for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.miss();
    });
  }

  /** Resolves when nothing announced from now on can be missed unnoticed. */
  async listen(jobId: string): Promise<Listener> {
    const channel = eventsKey(jobId);
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    const listener = new HubListener(() => this.#leave(channel, listener));
    listeners.add(listener);
    try {
      // Each listener awaits it, also when another asked already: that one's subscription may be under way.
      await this.#subscriber.subscribe(channel);
    } catch (error) {
      await listener[Symbol.asyncDispose]();
      throw error;
    }
    return listener;
  }

  async #leave(channel: string, listener: HubListener): Promise<void> {
    const listeners = this.#listeners.get(channel);
    if (!listeners?.delete(listener) || listeners.size > 0) return;
    this.#listeners.delete(channel);
    // With Redis away there is nothing to leave.
    await this.#subscriber.unsubscribe(channel).catch(() => {});
  }
}

class HubListener implements Listener {
  readonly #leave: () => Promise<void>;
  #announcements: string[] | null = [];
  #wake = () => {};

  constructor(leave: () => Promise<void>) {
    this.#leave = leave;
  }

  push(announcement: string): void {
    if (this.#announcements === null) return;
    if (this.#announcements.length < MAX_KEPT_ANNOUNCEMENTS) this.#announcements.push(announcement);
    else this.#announcements = null;
    this.#wake();
  }

  miss(): void {
    this.#announcements = null;
    this.#wake();
  }

  take(): string[] | null {
    const announcements = this.#announcements;
    this.#announcements = [];
    return announcements;
  }

  heard(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#announcements === null || this.#announcements.length > 0)
      return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#leave();
  }
}
