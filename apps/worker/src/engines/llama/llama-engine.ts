import { QuernError } from "@quern/shared/contract/errors";
import type { Token } from "node-llama-cpp";
import type { Engine, EngineObserver } from "../../protocol/engine.ts";
import type { EmbeddingCommand, EngineRequest } from "../../protocol/engine-messages.ts";
import type { EngineOptions, LoadedModelFacts } from "../../protocol/engine-options.ts";
import { toJobError } from "../../protocol/job-error.ts";
import { JobChoices } from "../job-choices.ts";
import { cacheKey } from "./cache-key.ts";
import { Embedder } from "./embedding/embedder.ts";
import { GenerationReader } from "./generation-reader.ts";
import { isChatModel, type LoadedChatModel, type LoadedModel, loadModel } from "./load-model.ts";
import { StepCost } from "./schedule/step-cost.ts";
import { StepLoop, type StepRecord } from "./step-loop.ts";
import { unmeasuredTokenMs } from "./unmeasured-token.ts";
import { prepareWarmPrefixes, WarmPrefixes } from "./warm-prefixes.ts";

export interface LlamaEngineObserver extends EngineObserver {
  observeStep?: (step: StepRecord) => void;
}

/** @throws QuernError as `loadModel` does. Resolves when the caches of the warm prefixes are there. */
export async function openLlamaEngine(
  options: EngineOptions,
  warmPrefixes: readonly (readonly number[])[],
  observer: LlamaEngineObserver,
): Promise<LlamaEngine> {
  const loaded = await loadModel(options);
  try {
    const embedder = await Embedder.start(loaded.model, options, observer);
    const writer = isChatModel(loaded)
      ? new TextWriter(loaded, options, observer, await warmUp(loaded, options, warmPrefixes))
      : null;
    return new LlamaEngine(loaded, embedder, writer, observer);
  } catch (error) {
    await loaded[Symbol.asyncDispose]();
    throw error;
  }
}

/** An engine on node-llama-cpp: a step loop for text, and beside it an embedder for vectors. */
export class LlamaEngine implements Engine {
  readonly facts: LoadedModelFacts;
  readonly #loaded: LoadedModel;
  readonly #embedder: Embedder;
  /** null: an embedding model. */
  readonly #writer: TextWriter | null;
  readonly #observer: EngineObserver;
  readonly #closed = Promise.withResolvers<void>();

  constructor(loaded: LoadedModel, embedder: Embedder, writer: TextWriter | null, observer: EngineObserver) {
    this.facts = loaded.facts;
    this.#loaded = loaded;
    this.#embedder = embedder;
    this.#writer = writer;
    this.#observer = observer;
  }

  generate(request: EngineRequest): void {
    if (this.#writer !== null) return void this.#writer.submit(request);
    const error = toJobError(
      new QuernError("invalid_request", "an embedding model writes no text", { param: "model" }),
    );
    const events = [{ type: "refused" as const, id: request.id, error }];
    this.#observer.stepped({ events, occupancy: null, nextStepMs: null });
  }

  embed(command: EmbeddingCommand): void {
    this.#embedder.submit(command);
  }

  cancel(id: string): void {
    this.#writer?.cancel(id);
    this.#embedder.cancel(id);
  }

  async run(): Promise<void> {
    await Promise.all([this.#writer?.run(), this.#closed.promise]);
  }

  close(): void {
    this.#writer?.close();
    this.#closed.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#embedder[Symbol.asyncDispose]();
    await this.#loaded[Symbol.asyncDispose]();
  }
}

/** The text half: reads requests on the way in, and runs the step loop behind. */
class TextWriter {
  readonly #reader: GenerationReader;
  readonly #observer: EngineObserver;
  readonly #choices = new JobChoices();
  readonly #loop: StepLoop;
  /** Requests that are being read; false once they are cancelled. */
  readonly #reading = new Map<string, boolean>();

  constructor(
    loaded: LoadedChatModel,
    options: EngineOptions,
    observer: LlamaEngineObserver,
    warmPrefixes: WarmPrefixes,
  ) {
    this.#reader = new GenerationReader(loaded);
    this.#observer = observer;
    this.#loop = new StepLoop({
      driver: loaded.driver,
      slots: options.slots,
      slotTokens: options.contextTokens,
      cost: StepCost.of(loaded.facts.device),
      unmeasuredTokenMs: unmeasuredTokenMs(loaded.facts),
      warmPrefixes,
      isEndOfGeneration: (token) => loaded.model.isEogToken(token),
      nowMs: observer.nowMs,
      ...(observer.observeStep === undefined ? {} : { observeStep: observer.observeStep }),
      report: ({ events, ...report }) => {
        const jobEvents = this.#choices.toJobEvents(events, (id) => this.#loop.cancel(id));
        observer.stepped({ ...report, events: jobEvents });
      },
    });
  }

  /** The outcome is reported, a refusal too. */
  async submit(request: EngineRequest): Promise<void> {
    const { id } = request;
    this.#reading.set(id, true);
    try {
      const { generations, restarted } = await this.#reader.read(request);
      if (restarted) this.#report({ type: "restarted", id });
      this.#choices.begin(generations);
      for (const generation of generations) this.#loop.submit(generation);
      if (this.#reading.get(id) === false) this.#loop.cancel(id);
    } catch (error) {
      this.#report({ type: "refused", id, error: toJobError(error) });
    } finally {
      this.#reading.delete(id);
    }
  }

  cancel(id: string): void {
    if (this.#reading.has(id)) this.#reading.set(id, false);
    else this.#loop.cancel(id);
  }

  run(): Promise<void> {
    return this.#loop.run();
  }

  close(): void {
    this.#loop.close();
  }

  #report(event: Parameters<EngineObserver["stepped"]>[0]["events"][number]): void {
    this.#observer.stepped({ events: [event], occupancy: null, nextStepMs: null });
  }
}

async function warmUp(
  { driver }: LoadedChatModel,
  options: EngineOptions,
  prefixes: readonly (readonly number[])[],
): Promise<WarmPrefixes> {
  if (prefixes.length === 0) return new WarmPrefixes([]);
  return prepareWarmPrefixes(driver, prefixes as Token[][], {
    folder: options.stateDir,
    modelKey: await cacheKey(options),
  });
}
