import { SETTLE_CHANNEL } from "@quern/shared/contract/names";
import { type LiveJob, parseAsked } from "@quern/shared/redis/live-jobs";
import type { Redis } from "ioredis";

/** More than that are found by the walk through the live jobs just as well. */
const MAX_ASKED = 10_000;

/** Jobs that have just ended, whose enders ask for their settlement. Word may be missed: the walk finds all of them. */
export class AskedJobs {
  readonly #subscriber: Redis;
  #jobs: LiveJob[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(subscriber: Redis) {
    this.#subscriber = subscriber;
  }

  /** Resolves when it hears of jobs. */
  async listen(): Promise<void> {
    this.#subscriber.on("message", (channel, message) => {
      if (channel === SETTLE_CHANNEL) this.#add(parseAsked(message));
    });
    await this.#subscriber.subscribe(SETTLE_CHANNEL);
  }

  /** Resolves when there is something to take. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  /** All that were asked for since the last time. */
  take(): LiveJob[] {
    const taken = this.#jobs;
    this.#jobs = [];
    this.#arrived = Promise.withResolvers<void>();
    return taken;
  }

  #add(job: LiveJob): void {
    if (this.#jobs.length < MAX_ASKED) this.#jobs.push(job);
    this.#arrived.resolve();
  }
}
