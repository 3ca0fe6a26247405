import { QuernError } from "@quern/shared/contract/errors";
import type { Delta } from "../protocol/delta.ts";
import type {
  Embedded,
  EmbeddingCommand,
  EngineCommand,
  EngineReport,
  EngineRequest,
  Generated,
  GenerationEvent,
} from "../protocol/engine-messages.ts";
import type { EngineOptions, LoadedModelFacts } from "../protocol/engine-options.ts";
import type { Occupancy } from "../protocol/entry-order.ts";
import { type ChildExit, forkChild, type OwnedChild } from "./child.ts";
import { type EngineEnd, engineEndOf } from "./engine-end.ts";
import { fromJobError } from "./job-faults.ts";
import { explainLoadDeath } from "./load-death.ts";
import { OomWatch } from "./oom-kills.ts";
import { CHECK_INTERVAL_MS, DEFAULT_STEP_TIMEOUT_MS, Watchdog, type WorkKind } from "./watchdog.ts";

const ENGINE_MAINS = {
  llama: new URL("../engines/llama/main.ts", import.meta.url),
  scripted: new URL("../engines/scripted/main.ts", import.meta.url),
};
/** `scripted`: an engine without a model, for tests and benchmarks. */
export type EngineName = keyof typeof ENGINE_MAINS;

const CLOSE_TIMEOUT_MS = 5_000;

/** How an engine child is started and watched. */
export interface ChildSettings {
  engine: EngineName;
  /** null: this process's own. */
  environment: NodeJS.ProcessEnv | null;
  loadTimeoutMs: number;
  /** An engine with pending work that ends no step for this long is killed; a step that it announced as long gets more. */
  stepTimeoutMs: number;
}

/** Long enough for the largest models from a slow disk. */
export const DEFAULT_LOAD_TIMEOUT_MS = 600_000;
export const DEFAULT_CHILD: ChildSettings = {
  engine: "llama",
  environment: null,
  loadTimeoutMs: DEFAULT_LOAD_TIMEOUT_MS,
  stepTimeoutMs: DEFAULT_STEP_TIMEOUT_MS,
};

/** The child died under this request. What it gave so far is published; the request may be tried again. */
export class EngineDied extends Error {
  override name = "EngineDied";
  readonly how: EngineEnd;
  /** The requests that it may have died of. The others waited for a slot. */
  readonly atWork: ReadonlySet<string>;
  /** Whether the kernel's OOM killer has killed anything while the child lived, where that can be read. */
  readonly oomKilled: boolean;

  constructor(
    message: string,
    how: EngineEnd = "crashed",
    atWork: Iterable<string> = [],
    oomKilled: boolean = false,
  ) {
    super(message);
    this.how = how;
    this.atWork = new Set(atWork);
    this.oomKilled = oomKilled;
  }
}

/** What is told of a request while it runs. */
export interface RequestListener {
  deltas: (deltas: Delta[]) => void;
  /** What was published before is void: the deltas begin anew. */
  restarted: () => void;
}

const NO_LISTENER: RequestListener = { deltas: () => {}, restarted: () => {} };

interface PendingRequest {
  kind: WorkKind;
  listener: RequestListener;
  resolve: (value: Generated | Embedded) => void;
  reject: (error: Error) => void;
}

type RequestCommand = Extract<EngineCommand, { type: "generate" | "embed" }>;

/**
 * One engine child from fork to exit, seen from the worker. It is loaded once and never comes back:
 * `EngineSupervisor` starts the next.
 */
export class EngineProcess {
  readonly facts: LoadedModelFacts;
  /** Resolves with how it ended, for people, or `null` when it was closed. */
  readonly exited: Promise<string | null>;
  readonly #child: OwnedChild<EngineCommand, EngineReport>;
  readonly #watchdog: Watchdog;
  readonly #oomWatch = new OomWatch();
  readonly #watch: NodeJS.Timeout;
  readonly #requests = new Map<string, PendingRequest>();
  #occupancy: Occupancy = { slots: [], waiting: [] };
  #onOccupancy: (occupancy: Occupancy) => void = () => {};
  /** What the watchdog killed it for. */
  #hang: string | null = null;

  /**
   * `warmPrefixes`: tokens of prompts whose caches are there when it is ready.
   * @throws QuernError when the model can't be loaded; also `model_load_failed` for a child that dies while it loads or
   * takes longer than `loadTimeoutMs`, and `model_does_not_fit` for one that dies for want of memory. No child is left behind.
   */
  static async start(
    options: EngineOptions,
    warmPrefixes: number[][],
    signal: AbortSignal,
    settings: ChildSettings = DEFAULT_CHILD,
  ): Promise<EngineProcess> {
    const { engine, environment, loadTimeoutMs } = settings;
    const child = forkChild<EngineCommand, EngineReport>(ENGINE_MAINS[engine], environment, "json");
    signal.addEventListener("abort", child.kill, { once: true });
    const timeOut = rejectAfter(loadTimeoutMs, options.modelPath);
    try {
      child.send({ type: "load", options, warmPrefixes });
      const facts = await Promise.race([
        firstReport(child),
        child.exited.then(({ description }) => {
          throw explainLoadDeath(options.modelPath, description, child.output());
        }),
        timeOut.rejected,
      ]);
      return new EngineProcess(child, facts, settings.stepTimeoutMs);
    } catch (error) {
      child.kill();
      await child.exited;
      throw error;
    } finally {
      timeOut.clear();
      signal.removeEventListener("abort", child.kill);
    }
  }

  private constructor(
    child: OwnedChild<EngineCommand, EngineReport>,
    facts: LoadedModelFacts,
    stepTimeoutMs: number,
  ) {
    this.#child = child;
    this.facts = facts;
    this.#watchdog = new Watchdog(stepTimeoutMs);
    this.#watch = setInterval(() => this.#killIfHung(), CHECK_INTERVAL_MS);
    child.onReport((report) => this.#take(report));
    this.exited = child.exited.then((exit) => {
      clearInterval(this.#watch);
      const death = this.#describe(exit);
      const how = this.#hang === null ? engineEndOf(death) : "hung";
      const message = death ?? "the engine was closed";
      this.#rejectAll(new EngineDied(message, how, this.#atWork(), this.#oomWatch.hasKilled()));
      return death;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Called with each change of the occupancy of the slots, from now on. */
  onOccupancy(listener: (occupancy: Occupancy) => void): void {
    this.#onOccupancy = listener;
  }

  /**
   * Runs one request. An abort of `signal` cancels it: it then resolves with what it had, `finishReason` null.
   * @throws EngineDied, or a QuernError when the engine refuses the request.
   */
  async generate(request: EngineRequest, listener: RequestListener, signal: AbortSignal): Promise<Generated> {
    return (await this.#run({ type: "generate", ...request }, listener, signal)) as Generated;
  }

  /** As `generate`; a cancelled request has no result. */
  async embed(request: EmbeddingCommand, signal: AbortSignal): Promise<Embedded> {
    return (await this.#run({ type: "embed", ...request }, NO_LISTENER, signal)) as Embedded;
  }

  /** Frees the model and ends the child; what still runs is dropped. A child that does not end is killed. */
  async close(): Promise<void> {
    const hardStop = setTimeout(this.#child.kill, CLOSE_TIMEOUT_MS);
    this.#child.send({ type: "close" });
    await this.exited;
    clearTimeout(hardStop);
  }

  async #run(
    command: RequestCommand,
    listener: RequestListener,
    signal: AbortSignal,
  ): Promise<Generated | Embedded> {
    const { id } = command;
    if (this.#requests.has(id)) throw new Error(`request ${id} runs already`);
    const kind = command.type === "generate" ? "steps" : "embeddings";
    const cancel = () => this.#child.send({ type: "cancel", id });
    this.#watchdog.began(kind);
    try {
      return await new Promise<Generated | Embedded>((resolve, reject) => {
        this.#requests.set(id, { kind, resolve, reject, listener });
        if (!this.#child.send(command)) reject(new EngineDied("the engine is gone"));
        if (signal.aborted) cancel();
        else signal.addEventListener("abort", cancel, { once: true });
      });
    } finally {
      this.#watchdog.ended(kind);
      signal.removeEventListener("abort", cancel);
      this.#requests.delete(id);
    }
  }

  #take(report: EngineReport): void {
    switch (report.type) {
      case "stepped":
        this.#watchdog.progressed("steps", report.nextStepMs);
        if (report.occupancy !== null) this.#occupancy = report.occupancy;
        for (const event of report.events) this.#takeEvent(event);
        if (report.occupancy !== null) this.#onOccupancy(report.occupancy);
        return;
      case "embedding":
        this.#watchdog.progressed("embeddings", null);
        for (const event of report.events) this.#takeEvent(event);
        return;
      case "loaded":
      case "load_failed":
        return; // `firstReport` took it
    }
  }

  #takeEvent(event: GenerationEvent): void {
    const pending = this.#requests.get(event.id);
    if (event.type === "deltas") pending?.listener.deltas(event.deltas);
    else if (event.type === "restarted") pending?.listener.restarted();
    else if (event.type === "generated") pending?.resolve(event.generated);
    else if (event.type === "embedded") pending?.resolve(event.embedded);
    else pending?.reject(fromJobError(event.error));
  }

  #killIfHung(): void {
    const hang = this.#watchdog.check();
    if (hang === null || this.#hang !== null) return;
    this.#hang = hang;
    this.#child.kill();
  }

  /** null: it was closed. */
  #describe({ code, description }: ChildExit): string | null {
    if (this.#hang !== null) return `it hung and was killed: ${this.#hang}`;
    return code === 0 ? null : description;
  }

  /**
   * All but the requests that are known to wait for a slot and to have none: what the engine has not reported yet, it may
   * have died of while it read it.
   */
  #atWork(): string[] {
    const inSlots = new Set(this.#occupancy.slots);
    const waiting = new Set(this.#occupancy.waiting);
    return [...this.#requests.keys()].filter((id) => inSlots.has(id) || !waiting.has(id));
  }

  #rejectAll(error: EngineDied): void {
    for (const pending of [...this.#requests.values()]) pending.reject(error);
  }
}

async function firstReport(child: OwnedChild<EngineCommand, EngineReport>): Promise<LoadedModelFacts> {
  const report = await child.next();
  if (report.type === "loaded") return report.facts;
  throw report.type === "load_failed"
    ? fromJobError(report.error)
    : new Error(`the engine began with a report of type ${report.type}`);
}

function rejectAfter(timeoutMs: number, modelPath: string): { rejected: Promise<never>; clear: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const seconds = timeoutMs / 1_000;
    reject(
      new QuernError(
        "model_load_failed",
        `${modelPath} was not loaded within ${seconds} s: raise QUERN_LOAD_TIMEOUT_SECONDS, or put it on a faster disk`,
      ),
    );
  }, timeoutMs);
  return { rejected: promise, clear: () => clearTimeout(timer) };
}
