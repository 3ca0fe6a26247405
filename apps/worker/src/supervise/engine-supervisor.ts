import { setTimeout as sleep } from "node:timers/promises";
import type { EngineOptions, LoadedModelFacts } from "../protocol/engine-options.ts";
import type { Occupancy } from "../protocol/entry-order.ts";
import { CrashWindow } from "./crash-window.ts";
import { type ChildSettings, EngineProcess } from "./engine-process.ts";

/** The first restart is immediate; an engine that keeps dying is given more and more time. */
const FIRST_RETRY_DELAY_MS = 250;
const MAX_RETRY_DELAY_MS = 10_000;
/** Of a worker that is unhealthy: it goes on trying, and leaves the machine time to be looked after. */
const MAX_UNHEALTHY_RETRY_DELAY_MS = 60_000;
/** An engine that lived this long has earned an immediate restart, and its worker a good name. */
const STABLE_AFTER_MS = 30_000;

export interface EngineSupervisorEvents {
  ready: (engine: EngineProcess) => void;
  /** The occupancy of the running engine has changed. */
  occupied: (occupancy: Occupancy) => void;
  died: (pid: number, death: string) => void;
  restartFailed: (error: Error, retryInMs: number) => void;
  /** After a death or a failed restart, when they are too many: `reason` is the last one's. */
  unhealthy: (reason: string) => void;
  /** An engine runs and has made good. */
  recovered: () => void;
}

/**
 * Keeps one engine running: loading ──▶ ready ──death──▶ loading … until closed.
 * With too many deaths in a short time it is unhealthy, and goes on trying less often.
 * The first load must succeed (a bad model file is the caller's to hear of); later ones are tried again and again.
 */
export class EngineSupervisor {
  readonly facts: LoadedModelFacts;
  readonly #options: EngineOptions;
  readonly #warmPrefixes: number[][];
  readonly #child: ChildSettings;
  readonly #events: EngineSupervisorEvents;
  readonly #closing = new AbortController();
  readonly #crashes = new CrashWindow();
  readonly #stableAfterMs: number;
  #health: "healthy" | "unhealthy" = "healthy";
  #engine: EngineProcess | null = null;
  #kept: Promise<void> = Promise.resolve();
  #waiters: ((engine: EngineProcess | null) => void)[] = [];

  /** @throws QuernError as `EngineProcess.start` does. An abort of `signal` stops the loading. */
  static async start(
    options: EngineOptions,
    warmPrefixes: number[][],
    events: EngineSupervisorEvents,
    signal: AbortSignal,
    child: ChildSettings,
    stableAfterMs: number = STABLE_AFTER_MS,
  ): Promise<EngineSupervisor> {
    const engine = await EngineProcess.start(options, warmPrefixes, signal, child);
    const supervisor = new EngineSupervisor(
      options,
      warmPrefixes,
      child,
      events,
      engine.facts,
      stableAfterMs,
    );
    supervisor.#kept = supervisor.#keepRunning(engine);
    return supervisor;
  }

  private constructor(
    options: EngineOptions,
    warmPrefixes: number[][],
    child: ChildSettings,
    events: EngineSupervisorEvents,
    facts: LoadedModelFacts,
    stableAfterMs: number,
  ) {
    this.#options = options;
    this.#warmPrefixes = warmPrefixes;
    this.#child = child;
    this.#events = events;
    this.facts = facts;
    this.#stableAfterMs = stableAfterMs;
  }

  /** null while it loads again after a death. */
  get current(): EngineProcess | null {
    return this.#engine;
  }

  /** The running engine, waited for if it is being restarted; null when it will not come back (closed, or `signal` aborted). */
  ready(signal: AbortSignal): Promise<EngineProcess | null> {
    if (this.#engine !== null || this.#closing.signal.aborted || signal.aborted) {
      return Promise.resolve(this.#engine);
    }
    return new Promise((resolve) => {
      const settle = (engine: EngineProcess | null) => {
        signal.removeEventListener("abort", giveUp);
        resolve(engine);
      };
      const giveUp = () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== settle);
        resolve(null);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiters.push(settle);
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#settleWaiters(null);
    await this.#engine?.close();
    await this.#kept;
  }

  async #keepRunning(first: EngineProcess): Promise<void> {
    let engine: EngineProcess | null = first;
    let retryDelayMs = FIRST_RETRY_DELAY_MS;
    while (engine !== null && !this.#closing.signal.aborted) {
      const readyAtMs = performance.now();
      this.#engine = engine;
      engine.onOccupancy(this.#events.occupied);
      this.#events.ready(engine);
      this.#settleWaiters(engine);

      const recovering = this.#recoverWhile(engine);
      const death = await engine.exited;
      await recovering;
      this.#engine = null;
      if (this.#closing.signal.aborted) return;
      const reason = death ?? "it ended by itself";
      this.#events.died(engine.pid, reason);
      this.#countCrash(reason);

      if (performance.now() - readyAtMs >= this.#stableAfterMs) retryDelayMs = FIRST_RETRY_DELAY_MS;
      else {
        await this.#pause(retryDelayMs === FIRST_RETRY_DELAY_MS ? 0 : retryDelayMs);
        retryDelayMs = this.#longer(retryDelayMs);
      }
      engine = await this.#restart();
    }
    await engine?.close();
  }

  /** null when closed meanwhile. */
  async #restart(): Promise<EngineProcess | null> {
    for (let delayMs = FIRST_RETRY_DELAY_MS; ; delayMs = this.#longer(delayMs)) {
      if (this.#closing.signal.aborted) return null;
      try {
        return await EngineProcess.start(
          this.#options,
          this.#warmPrefixes,
          this.#closing.signal,
          this.#child,
        );
      } catch (error) {
        if (this.#closing.signal.aborted) return null;
        this.#events.restartFailed(error as Error, delayMs);
        this.#countCrash((error as Error).message);
        await this.#pause(delayMs);
      }
    }
  }

  #countCrash(reason: string): void {
    this.#crashes.crashed(performance.now());
    if (this.#health === "unhealthy" || this.#crashes.health(performance.now()) === "healthy") return;
    this.#health = "unhealthy";
    this.#events.unhealthy(reason);
  }

  /** Resolves when the engine has made good, or has ended before. */
  async #recoverWhile(engine: EngineProcess): Promise<void> {
    if (this.#health === "healthy") return;
    const ended = new AbortController();
    void engine.exited.then(() => ended.abort());
    const waitMs = Math.min(this.#stableAfterMs, this.#crashes.healthyInMs(performance.now()));
    await sleep(waitMs, undefined, { signal: ended.signal }).catch(() => {});
    if (ended.signal.aborted) return;
    this.#crashes.proveStable();
    this.#health = "healthy";
    this.#events.recovered();
  }

  #longer(delayMs: number): number {
    const most = this.#health === "unhealthy" ? MAX_UNHEALTHY_RETRY_DELAY_MS : MAX_RETRY_DELAY_MS;
    return Math.min(delayMs * 2, most);
  }

  /** Ends early when closed. */
  async #pause(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  #settleWaiters(engine: EngineProcess | null): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const settle of waiters) settle(engine);
  }
}
