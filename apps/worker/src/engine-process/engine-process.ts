import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { JobError } from "@quern/shared/contract/job";
import type { Delta } from "../engine/output/delta.ts";
import type { PromptRequest } from "../engine/prompt/prompt-template.ts";
import type {
  Embedded,
  EmbeddingCommand,
  EngineCommand,
  EngineOptions,
  EngineReport,
  EngineRequest,
  Generated,
  GenerationEvent,
  InputsRequest,
  LoadedModelFacts,
} from "../engine/protocol.ts";
import { type EngineEnd, engineEndOf } from "./engine-end.ts";
import { explainLoadDeath } from "./load-death.ts";
import { OomWatch } from "./oom-kills.ts";

const ENGINE_MAIN = new URL("../engine/main.ts", import.meta.url);

/** Enough of what a dying child wrote to name its assertion. */
const KEPT_OUTPUT_CHARACTERS = 2_000;
const CLOSE_TIMEOUT_MS = 5_000;

/** What a child is given beside its options. */
export interface ChildSettings {
  /** null: this process's own. */
  environment: NodeJS.ProcessEnv | null;
  loadTimeoutMs: number;
}

/** Long enough for the largest models from a slow disk. */
export const DEFAULT_LOAD_TIMEOUT_MS = 600_000;
const DEFAULT_CHILD: ChildSettings = { environment: null, loadTimeoutMs: DEFAULT_LOAD_TIMEOUT_MS };

/** The child died under this request. What it gave so far is published; the request may be tried again. */
export class EngineDied extends Error {
  override name = "EngineDied";
  readonly how: EngineEnd;
  /** The requests that it was at work on: those in its slots, and those for vectors. The others still waited. */
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

interface Pending<Value> {
  resolve: (value: Value) => void;
  reject: (error: Error) => void;
}

/** Hears of a request while it runs. */
export interface RequestListener {
  deltas: (deltas: Delta[]) => void;
  /** What was published before is void: the deltas begin anew. */
  restarted: () => void;
}

const NOBODY: RequestListener = { deltas: () => {}, restarted: () => {} };

interface PendingRequest extends Pending<Generated | Embedded> {
  type: "generate" | "embed";
  listener: RequestListener;
}

/**
 * One engine child from fork to exit, seen from the worker. It is loaded once and never comes back:
 * `EngineSupervisor` starts the next.
 */
export class EngineProcess {
  readonly facts: LoadedModelFacts;
  /** Resolves with what it died of, or `null` when it was closed. */
  readonly exited: Promise<string | null>;
  readonly #child: ChildProcess;
  readonly #slots: number;
  readonly #oomWatch = new OomWatch();
  /** In the order in which the child was given them, which is that in which it gives them slots. */
  readonly #requests = new Map<string, PendingRequest>();
  readonly #counts = new Map<string, Pending<number[]>>();
  #nextCountId = 1;

  /**
   * @throws QuernError of `loadModel`'s; also `model_load_failed` for a child that dies while it loads or takes longer
   * than `loadTimeoutMs`, and `model_does_not_fit` for one that dies for want of memory. No child is left behind.
   */
  static async start(
    options: EngineOptions,
    signal: AbortSignal,
    { environment, loadTimeoutMs }: ChildSettings = DEFAULT_CHILD,
  ): Promise<EngineProcess> {
    const child = fork(ENGINE_MAIN, {
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      ...(environment === null ? {} : { env: environment }),
    });
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    signal.addEventListener("abort", kill, { once: true });
    const output = keepOutput(child);
    const exited = once(child, "exit").then(([code, exitSignal]) => {
      process.off("exit", kill);
      return code === 0 ? null : describeDeath(code, exitSignal, output());
    });
    const timeOut = rejectAfter(loadTimeoutMs, options.modelPath);
    try {
      send(child, { type: "load", options });
      const facts = await Promise.race([
        firstReport(child),
        exited.then((death) => {
          throw explainLoadDeath(options.modelPath, death ?? "it just ended", output());
        }),
        timeOut.rejected,
      ]);
      return new EngineProcess(child, options.slots, facts, exited);
    } catch (error) {
      kill();
      await exited;
      throw error;
    } finally {
      timeOut.clear();
      signal.removeEventListener("abort", kill);
    }
  }

  private constructor(
    child: ChildProcess,
    slots: number,
    facts: LoadedModelFacts,
    exited: Promise<string | null>,
  ) {
    this.#child = child;
    this.#slots = slots;
    this.facts = facts;
    child.on("message", (report: EngineReport) => this.#hear(report));
    this.exited = exited.then((death) => {
      const how = engineEndOf(death);
      const message = death ?? "the engine was closed";
      this.#rejectAll(new EngineDied(message, how, this.#atWork(), this.#oomWatch.hasKilled()));
      return death;
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /**
   * Runs one request. An abort of `signal` cancels it: it then resolves with what it had, `finishReason` null.
   * @throws EngineDied, or a QuernError when the engine refuses the request.
   */
  async generate(request: EngineRequest, listener: RequestListener, signal: AbortSignal): Promise<Generated> {
    return (await this.#run({ type: "generate", ...request }, listener, signal)) as Generated;
  }

  /** Likewise; what was cancelled has no result. */
  async embed(request: EmbeddingCommand, signal: AbortSignal): Promise<Embedded> {
    return (await this.#run({ type: "embed", ...request }, NOBODY, signal)) as Embedded;
  }

  async #run(
    command: Extract<EngineCommand, { type: "generate" | "embed" }>,
    listener: RequestListener,
    signal: AbortSignal,
  ): Promise<Generated | Embedded> {
    const { id } = command;
    if (this.#requests.has(id)) throw new Error(`request ${id} runs already`);
    const cancel = () => send(this.#child, { type: "cancel", id });
    try {
      return await new Promise<Generated | Embedded>((resolve, reject) => {
        this.#requests.set(id, { type: command.type, resolve, reject, listener });
        if (!send(this.#child, command)) reject(new EngineDied("the engine is gone"));
        if (signal.aborted) cancel();
        else signal.addEventListener("abort", cancel, { once: true });
      });
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#requests.delete(id);
    }
  }

  /** @throws EngineDied, or a QuernError when the template refuses the messages. */
  async countPromptTokens(request: PromptRequest): Promise<number> {
    const [tokens = 0] = await this.countTokens(request);
    return tokens;
  }

  /** Of the prompt, or of each input. @throws EngineDied, or a QuernError when the model can't read the request. */
  countTokens(request: PromptRequest | InputsRequest): Promise<number[]> {
    const id = String(this.#nextCountId++);
    return new Promise<number[]>((resolve, reject) => {
      this.#counts.set(id, { resolve, reject });
      if (!send(this.#child, { type: "count", id, request })) reject(new EngineDied("the engine is gone"));
    }).finally(() => this.#counts.delete(id));
  }

  /** Frees the model and ends the child; what still runs is dropped. A child that does not end is killed. */
  async close(): Promise<void> {
    const hardStop = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
    send(this.#child, { type: "close" });
    await this.exited;
    clearTimeout(hardStop);
  }

  #hear(report: EngineReport): void {
    switch (report.type) {
      case "stepped":
        for (const event of report.events) this.#hearRequest(event);
        return;
      case "counted":
        this.#counts.get(report.id)?.resolve(report.tokens);
        return;
      case "count_refused":
        this.#counts.get(report.id)?.reject(fromJobError(report.error));
        return;
      case "loaded":
      case "load_failed":
        return; // `firstReport` heard it
    }
  }

  #hearRequest(event: GenerationEvent): void {
    const pending = this.#requests.get(event.id);
    if (event.type === "deltas") pending?.listener.deltas(event.deltas);
    else if (event.type === "restarted") pending?.listener.restarted();
    else if (event.type === "generated") pending?.resolve(event.generated);
    else if (event.type === "embedded") pending?.resolve(event.embedded);
    else pending?.reject(fromJobError(event.error));
  }

  /** Choices beyond the first may wait behind other requests: rather one too many than one too few. */
  #atWork(): string[] {
    const byType = Map.groupBy(this.#requests, ([, { type }]) => type);
    const inSlots = (byType.get("generate") ?? []).slice(0, this.#slots);
    return [...inSlots, ...(byType.get("embed") ?? [])].map(([id]) => id);
  }

  #rejectAll(error: EngineDied): void {
    for (const pending of [...this.#requests.values(), ...this.#counts.values()]) pending.reject(error);
  }
}

async function firstReport(child: ChildProcess): Promise<LoadedModelFacts> {
  const [report] = (await once(child, "message")) as [EngineReport];
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

/** false when the channel is closed already; the exit says why. */
function send(child: ChildProcess, command: EngineCommand): boolean {
  if (!child.connected) return false;
  // An error means that the child dies at this moment: its exit is reported, and settles what waits.
  child.send(command, undefined, undefined, () => {});
  return true;
}

function fromJobError({ code, message, param }: JobError): QuernError {
  return new QuernError(code as ErrorCode, message, param === null ? {} : { param });
}

function keepOutput(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  }
  return () => text;
}

/** `GGML_ASSERT(…) failed` when llama.cpp said so, else the last line of its output. */
function describeDeath(code: number | null, signal: NodeJS.Signals | null, output: string): string {
  const lines = output.trim().split("\n");
  const line = lines.find((text) => text.includes("GGML_ASSERT")) ?? lines.at(-1) ?? "";
  return [signal === null ? `exit code ${code}` : signal, line.trim()]
    .filter((part) => part !== "")
    .join(": ");
}
