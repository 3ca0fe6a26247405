import { eventsKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";
import { Announcement } from "./announcement.ts";
import { EventPages } from "./event-pages.ts";

/** Announcements kept for the followers of one job; one that falls further behind reads them from Redis. */
const MAX_KEPT_ANNOUNCEMENTS = 256;

/** What one follower hears of a job. */
export interface Listener extends AsyncDisposable {
  /** The announcements since it last took them, in order; null: some were missed, the stream itself must be read. */
  take(): readonly Announcement[] | null;
  /** Resolves when there is something to take, after `timeoutMs`, or when the follower's signal aborts. */
  heard(timeoutMs: number): Promise<void>;
  /** Whether the follower's signal has aborted. */
  readonly stopped: boolean;
}

/**
 * One Pub/Sub connection for all that a gateway follows. Announcements can be missed (the connection was away), so a
 * follower takes them as a hint and the stream in Redis as the truth.
 */
export class EventHub {
  /** What its followers read from the streams themselves. */
  readonly pages = new EventPages();
  readonly #subscriber: Redis;
  readonly #channels = new Map<string, Channel>();

  /** `subscriber` may have other uses. */
  constructor(subscriber: Redis) {
    this.#subscriber = subscriber;
    subscriber.on("message", (name, message) => this.#channels.get(name)?.push(new Announcement(message)));
    subscriber.on("ready", () => void this.#resubscribe().catch(() => {}));
  }

  /**
   * Resolves when nothing announced from now on can be missed unnoticed.
   * @param stop aborts when the follower leaves.
   */
  async listen(jobId: string, stop: AbortSignal): Promise<Listener> {
    const name = eventsKey(jobId);
    const channel = this.#channels.get(name) ?? new Channel();
    this.#channels.set(name, channel);
    const listener = new HubListener(channel, stop, () => this.#leave(name, channel));
    try {
      // Each listener awaits it, also when another asked already: that one's subscription may be under way.
      await this.#subscriber.subscribe(name);
    } catch (error) {
      await listener[Symbol.asyncDispose]();
      throw error;
    }
    return listener;
  }

  /**
   * After a reconnect. ioredis subscribes again by itself and does not say when Redis has done so; what is announced
   * until then is missed, so followers read the stream only after that. Rejects when the connection is lost again.
   */
  async #resubscribe(): Promise<void> {
    if (this.#channels.size === 0) return;
    const channels = [...this.#channels];
    await this.#subscriber.subscribe(...channels.map(([name]) => name));
    for (const [name, channel] of channels) {
      channel.miss();
      // Its last follower may have left while it was subscribed to again.
      if (this.#channels.get(name) !== channel) await this.#unsubscribe(name);
    }
  }

  async #leave(name: string, channel: Channel): Promise<void> {
    if (channel.listeners.size > 0 || this.#channels.get(name) !== channel) return;
    this.#channels.delete(name);
    await this.#unsubscribe(name);
  }

  async #unsubscribe(name: string): Promise<void> {
    if (this.#channels.has(name)) return;
    // With Redis away there is nothing to leave.
    await this.#subscriber.unsubscribe(name).catch(() => {});
  }
}

/** The latest announcements of one job, kept once for all of its followers until each has taken them. */
class Channel {
  readonly listeners = new Set<HubListener>();
  #kept: Announcement[] = [];
  /** The number of the next announcement, counted from the channel's first. */
  #next = 0;

  get next(): number {
    return this.#next;
  }

  push(announcement: Announcement): void {
    let firstUntaken = this.#next;
    for (const { taken } of this.listeners) firstUntaken = Math.min(firstUntaken, taken);
    const untaken = Math.min(this.#next - firstUntaken, MAX_KEPT_ANNOUNCEMENTS - 1);
    if (this.#kept.length > untaken) this.#kept = untaken === 0 ? [] : this.#kept.slice(-untaken);
    this.#kept.push(announcement);
    this.#next += 1;
    for (const listener of this.listeners) listener.wake();
  }

  /** Those from number `from` on; null: some are no longer kept. */
  since(from: number): readonly Announcement[] | null {
    const firstKept = this.#next - this.#kept.length;
    return from < firstKept ? null : this.#kept.slice(from - firstKept);
  }

  miss(): void {
    for (const listener of this.listeners) listener.miss();
  }
}

class HubListener implements Listener {
  readonly #channel: Channel;
  readonly #stop: AbortSignal;
  readonly #leave: () => Promise<void>;
  #taken: number;
  #missed = false;
  #stopped: boolean;
  /** Ends the wait of `heard`; null: its follower does not wait. */
  #wake: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timeoutMs = 0;

  constructor(channel: Channel, stop: AbortSignal, leave: () => Promise<void>) {
    this.#channel = channel;
    this.#stop = stop;
    this.#leave = leave;
    this.#taken = channel.next;
    this.#stopped = stop.aborted;
    stop.addEventListener("abort", this.#onStop, { once: true });
    channel.listeners.add(this);
  }

  /** The number of the next announcement that it has not taken. */
  get taken(): number {
    return this.#taken;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  take(): readonly Announcement[] | null {
    const announcements = this.#missed ? null : this.#channel.since(this.#taken);
    this.#missed = false;
    this.#taken = this.#channel.next;
    return announcements;
  }

  heard(timeoutMs: number): Promise<void> {
    if (this.#stopped || this.#missed || this.#taken < this.#channel.next) return Promise.resolve();
    // One timer for all waits: a follower of a fast stream begins very many.
    if (this.#timer !== null && this.#timeoutMs === timeoutMs) this.#timer.refresh();
    else {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timeoutMs = timeoutMs;
      this.#timer = setTimeout(() => this.wake(), timeoutMs);
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  miss(): void {
    this.#missed = true;
    this.wake();
  }

  readonly #onStop = () => {
    this.#stopped = true;
    this.wake();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stop.removeEventListener("abort", this.#onStop);
    this.#channel.listeners.delete(this);
    await this.#leave();
  }
}
