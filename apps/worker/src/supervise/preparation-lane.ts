import { QuernError } from "@quern/shared/contract/errors";
import type {
  PrepareCommand,
  PrepareReport,
  PreparerOptions,
  VocabularyFacts,
} from "../protocol/prepare-messages.ts";
import { forkChild, type OwnedChild } from "./child.ts";
import { type EngineEnd, engineEndOf } from "./engine-end.ts";
import { fromJobError } from "./job-faults.ts";
import { OomWatch } from "./oom-kills.ts";

const PREPARER_MAIN = new URL("../prepare/main.ts", import.meta.url);

/** One request takes seconds at most; a preparer that takes longer hangs. */
const WORK_TIMEOUT_MS = 120_000;
const LOAD_TIMEOUT_MS = 120_000;

type Work = Extract<PrepareCommand, { type: "prepare" | "count" }>;
type Outcome = Extract<PrepareReport, { type: "prepared" | "counted" | "takes_long" }>;

/** The preparer child died, or hung and was killed, while it worked on this request and on no other. */
export class PreparerDied extends Error {
  override name = "PreparerDied";
  readonly how: EngineEnd;
  readonly oomKilled: boolean;

  constructor(message: string, how: EngineEnd, oomKilled: boolean) {
    super(message);
    this.how = how;
    this.oomKilled = oomKilled;
  }
}

/** No preparer could be started, or the lane is closed. The request is not to blame, and may be tried again. */
export class PreparerUnavailable extends Error {
  override name = "PreparerUnavailable";
}

interface Waiting {
  work: Work;
  signal: AbortSignal;
  resolve: (outcome: Outcome) => void;
  reject: (error: unknown) => void;
}

interface Preparer {
  child: OwnedChild<PrepareCommand, PrepareReport>;
  oomWatch: OomWatch;
  facts: VocabularyFacts;
}

/**
 * One preparer child and the requests that wait for it, first come first served, one at a time: when the child dies, the
 * request that it died of is known. The next request starts another child.
 */
export class PreparationLane implements AsyncDisposable {
  readonly #options: PreparerOptions;
  /** null: it stays. */
  readonly #idleTimeoutMs: number | null;
  readonly #waiting: Waiting[] = [];
  readonly #closing = new AbortController();
  #preparer: Preparer | null = null;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #idleTimer: NodeJS.Timeout | undefined;

  /** `idleTimeoutMs`: a child with nothing to do for this long is closed; null: it stays. */
  constructor(options: PreparerOptions, idleTimeoutMs: number | null) {
    this.#options = options;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Loads the vocabulary ahead of the first request. @throws QuernError when it can't be loaded. */
  async start(signal: AbortSignal): Promise<VocabularyFacts> {
    return (await this.#startPreparer(signal)).facts;
  }

  /** @throws QuernError when the request is refused; PreparerDied, PreparerUnavailable; the reason of `signal`'s abort. */
  async run(work: Work, signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    // What the child is at can't be stopped; its outcome is dropped.
    const giveUp = () => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    this.#waiting.push({ work, signal, resolve, reject });
    if (!this.#isWorking) this.#working = this.#workOff();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#idleTimer);
    this.#preparer?.child.kill();
    await this.#working;
    await this.#preparer?.child.exited;
  }

  async #workOff(): Promise<void> {
    this.#isWorking = true;
    clearTimeout(this.#idleTimer);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { work, signal, resolve, reject } = next;
      if (!signal.aborted) await this.#do(work).then(resolve, reject);
    }
    this.#isWorking = false;
    this.#closeWhenIdle();
  }

  async #do(work: Work): Promise<Outcome> {
    const { child, oomWatch } = this.#preparer ?? (await this.#restartPreparer());
    let hangs = false;
    const timer = setTimeout(() => {
      hangs = true;
      child.kill();
    }, WORK_TIMEOUT_MS);
    try {
      const report = Promise.race([child.next(), child.exited]);
      child.send(work);
      const end = await report;
      if ("type" in end) return outcomeOf(end);
      const how = hangs ? "hung" : engineEndOf(end.description);
      throw new PreparerDied(
        `its preparer died of this request: ${end.description}`,
        how,
        oomWatch.hasKilled(),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #restartPreparer(): Promise<Preparer> {
    try {
      return await this.#startPreparer(this.#closing.signal);
    } catch (cause) {
      throw new PreparerUnavailable("no preparer can be started", { cause });
    }
  }

  async #startPreparer(signal: AbortSignal): Promise<Preparer> {
    const preparer = await startPreparer(this.#options, signal);
    this.#preparer = preparer;
    // Also when it dies with nothing to do: the next request is not to blame.
    void preparer.child.exited.then(() => {
      if (this.#preparer === preparer) this.#preparer = null;
    });
    return preparer;
  }

  #closeWhenIdle(): void {
    if (this.#idleTimeoutMs === null || this.#closing.signal.aborted) return;
    this.#idleTimer = setTimeout(() => {
      this.#preparer?.child.kill();
      this.#preparer = null;
    }, this.#idleTimeoutMs).unref();
  }
}

async function startPreparer(options: PreparerOptions, signal: AbortSignal): Promise<Preparer> {
  signal.throwIfAborted();
  const child = forkChild<PrepareCommand, PrepareReport>(PREPARER_MAIN, null, "advanced");
  const timer = setTimeout(child.kill, LOAD_TIMEOUT_MS);
  signal.addEventListener("abort", child.kill, { once: true });
  try {
    const first = child.next();
    child.send({ type: "load", options });
    const report = await Promise.race([first, child.exited.then(({ description }) => description)]);
    if (typeof report === "string") {
      throw new QuernError(
        "model_load_failed",
        `the process that prepares prompts for ${options.modelPath} died while it loaded: ${report}`,
      );
    }
    if (report.type === "loaded") return { child, oomWatch: new OomWatch(), facts: report.facts };
    throw report.type === "load_failed" ? fromJobError(report.error) : new Error(`unexpected ${report.type}`);
  } catch (error) {
    child.kill();
    await child.exited;
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", child.kill);
  }
}

/** @throws QuernError when the request is refused. */
function outcomeOf(report: PrepareReport): Outcome {
  if (report.type === "refused") throw fromJobError(report.error);
  if (report.type === "loaded" || report.type === "load_failed") {
    throw new Error(`a preparer reported ${report.type} instead of an outcome`);
  }
  return report;
}
