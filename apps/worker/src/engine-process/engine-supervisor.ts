import { setTimeout as sleep } from "node:timers/promises";
import type { EngineOptions, LoadedModelFacts } from "../engine/protocol.ts";
import { type ChildSettings, EngineProcess } from "./engine-process.ts";

/** The first restart is immediate; an engine that keeps dying is given more and more time. */
const FIRST_RETRY_DELAY_MS = 250;
const MAX_RETRY_DELAY_MS = 10_000;
/** An engine that lived this long has earned an immediate restart. */
const STABLE_AFTER_MS = 30_000;

export interface EngineSupervisorEvents {
  ready: (engine: EngineProcess) => void;
  died: (pid: number, death: string) => void;
  restartFailed: (error: Error, retryInMs: number) => void;
}

/**
 * Keeps one engine running: loading ──▶ ready ──death──▶ loading … until closed.
 * The first load must succeed (a bad model file is the caller's to hear of); later ones are tried again and again.
 */
export class EngineSupervisor {
  readonly facts: LoadedModelFacts;
  readonly #options: EngineOptions;
  readonly #child: ChildSettings;
  readonly #events: EngineSupervisorEvents;
  readonly #closing = new AbortController();
  #engine: EngineProcess | null = null;
  #kept: Promise<void> = Promise.resolve();
  #waiters: ((engine: EngineProcess | null) => void)[] = [];

  /** @throws QuernError as `EngineProcess.start` does. An abort of `signal` stops the loading. */
  static async start(
    options: EngineOptions,
    events: EngineSupervisorEvents,
    signal: AbortSignal,
    child: ChildSettings,
  ): Promise<EngineSupervisor> {
    const engine = await EngineProcess.start(options, signal, child);
    const supervisor = new EngineSupervisor(options, child, events, engine.facts);
    supervisor.#kept = supervisor.#keepRunning(engine);
    return supervisor;
  }

  private constructor(
    options: EngineOptions,
    child: ChildSettings,
    events: EngineSupervisorEvents,
    facts: LoadedModelFacts,
  ) {
    this.#options = options;
    this.#child = child;
    this.#events = events;
    this.facts = facts;
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
      this.#events.ready(engine);
      this.#settleWaiters(engine);

      const death = await engine.exited;
      this.#engine = null;
      if (this.#closing.signal.aborted) return;
      this.#events.died(engine.pid, death ?? "it ended by itself");

      if (performance.now() - readyAtMs >= STABLE_AFTER_MS) retryDelayMs = FIRST_RETRY_DELAY_MS;
      else {
        await this.#pause(retryDelayMs === FIRST_RETRY_DELAY_MS ? 0 : retryDelayMs);
        retryDelayMs = Math.min(retryDelayMs * 2, MAX_RETRY_DELAY_MS);
      }
      engine = await this.#restart();
    }
    await engine?.close();
  }

  /** null when closed meanwhile. */
  async #restart(): Promise<EngineProcess | null> {
    for (let delayMs = FIRST_RETRY_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_RETRY_DELAY_MS)) {
      if (this.#closing.signal.aborted) return null;
      try {
        return await EngineProcess.start(this.#options, this.#closing.signal, this.#child);
      } catch (error) {
        if (this.#closing.signal.aborted) return null;
        this.#events.restartFailed(error as Error, delayMs);
        await this.#pause(delayMs);
      }
    }
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
