import { setTimeout as sleep } from "node:timers/promises";
import { suspectDutyKey } from "@quern/shared/contract/names";
import type { Redis } from "ioredis";
import type { SuspectQueue } from "./suspect-queue.ts";

const CHECK_INTERVAL_MS = 1_000;
/** Outlives two checks that fail; a worker that dies on duty is replaced when it has lapsed. */
const DUTY_TTL_MS = 3_500;

export interface SuspectDutyOptions {
  redis: Redis;
  suspects: SuspectQueue;
  model: string;
  /** What the duty's key holds while it is ours. */
  workerId: string;
  patienceMs: number;
  /** Whether jobs run here, which keeps suspects out. */
  isBusy: () => boolean;
  /** Makes room for a suspect, however long that takes. */
  clear: () => void;
  /** The suspects have gone elsewhere. */
  reopen: () => void;
  onError: (error: Error) => void;
}

/**
 * An idle worker takes suspects by itself. Where none is idle, one after the other makes room: a suspect that has waited
 * longer than the patience puts a worker on duty, one at a time for each model.
 */
export class SuspectDuty {
  readonly #options: SuspectDutyOptions;
  #state: "off" | "on" = "off";

  constructor(options: SuspectDutyOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#check().catch(this.#options.onError);
      await sleep(CHECK_INTERVAL_MS, undefined, { signal }).catch(() => {});
    }
    this.#standDown();
  }

  async #check(): Promise<void> {
    const { suspects, patienceMs, isBusy, clear } = this.#options;
    if (this.#state === "off" && !isBusy()) return;
    const waitedMs = await suspects.waitedMs();
    if (waitedMs === null) return this.#standDown();
    if (waitedMs < patienceMs || !(await this.#takeDuty())) return;
    this.#state = "on";
    clear();
  }

  async #takeDuty(): Promise<boolean> {
    const { redis, model, workerId } = this.#options;
    const key = suspectDutyKey(model);
    if ((await redis.set(key, workerId, "PX", DUTY_TTL_MS, "NX")) === "OK") return true;
    if ((await redis.get(key)) !== workerId) return false;
    await redis.pexpire(key, DUTY_TTL_MS);
    return true;
  }

  /** The key lapses by itself. */
  #standDown(): void {
    if (this.#state === "off") return;
    this.#state = "off";
    this.#options.reopen();
  }
}
