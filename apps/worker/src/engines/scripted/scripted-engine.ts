import { setImmediate as nextTurn } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import type { FinishReason } from "@quern/shared/contract/generation";
import type { Engine, EngineObserver } from "../../protocol/engine.ts";
import type { EmbeddingCommand, EngineRequest, GenerationEvent } from "../../protocol/engine-messages.ts";
import type { EngineOptions, LoadedModelFacts } from "../../protocol/engine-options.ts";
import { toJobError } from "../../protocol/job-error.ts";
import { decodeTokens } from "../../protocol/token-ids.ts";
import { EntryQueue } from "../entry-queue.ts";
import { JobChoices, type LoopEvent } from "../job-choices.ts";
import { encodeVector } from "../vector.ts";
import { ScriptedGeneration } from "./scripted-generation.ts";
import { DIMENSIONS, scriptedVector } from "./scripted-vector.ts";

/** The longest time without a report while steps are made, as of the llama engine. */
const MAX_SILENCE_MS = 1_000;

/** An engine without a model: it answers each prompt with fixed words, one a step, as fast as it can. */
export async function openScriptedEngine(
  options: EngineOptions,
  _warmPrefixes: readonly (readonly number[])[],
  observer: EngineObserver,
): Promise<Engine> {
  return new ScriptedEngine(options, observer);
}

class ScriptedEngine implements Engine {
  readonly facts: LoadedModelFacts = {
    embeddingDimensions: DIMENSIONS,
    architecture: "scripted",
    parameters: 1,
    activeParameters: 1,
    experts: null,
    quantization: null,
    trainedContextTokens: 2 ** 20,
    fileBytes: 1,
    weightsBytes: 1,
    contextBytes: 1,
    driver: null,
    device: "cpu",
    gpuLayers: 0,
    memory: null,
  };
  readonly #observer: EngineObserver;
  readonly #choices = new JobChoices();
  readonly #waiting = new EntryQueue<ScriptedGeneration>();
  readonly #slots: (ScriptedGeneration | null)[];
  #events: LoopEvent[] = [];
  #occupancyChanged = false;
  #reportedAtMs = 0;
  #wake = () => {};
  #closing = false;

  constructor({ slots }: EngineOptions, observer: EngineObserver) {
    this.#observer = observer;
    this.#slots = Array.from({ length: slots }, () => null);
  }

  generate(request: EngineRequest): void {
    const { id, prepared, published } = request;
    if (prepared.grammar !== null || prepared.topLogprobs !== null || prepared.stop.length > 0) {
      this.#report([{ type: "refused", id, error: toJobError(onlyFreeText()) }]);
      return;
    }
    const choices = Array.from({ length: prepared.choices }, (_, choice) => choice);
    let generations = choices.map((choice) => ScriptedGeneration.begin(request, choice, published[choice]));
    if (generations.some((generation) => generation === null)) {
      this.#report([{ type: "restarted", id }]);
      generations = choices.map((choice) => ScriptedGeneration.begin(request, choice, undefined));
    }
    const begun = generations.filter((generation) => generation !== null);
    this.#choices.begin(begun);
    for (const generation of begun) this.#waiting.add(generation);
    this.#occupancyChanged = true;
    this.#wake();
  }

  embed({ id, prepared }: EmbeddingCommand): void {
    const nowMs = this.#observer.nowMs();
    const inputs = prepared.inputs.map(decodeTokens);
    const vectors = inputs.map((tokens) =>
      encodeVector(scriptedVector(tokens), prepared.dimensions ?? DIMENSIONS),
    );
    const promptTokens = inputs.reduce((sum, { length }) => sum + length, 0);
    const embedded = {
      result: { vectors, encoding: prepared.encoding },
      usage: { promptTokens, completionTokens: 0, reasoningTokens: 0, cachedTokens: 0 },
      timings: { slotAtMs: nowMs, firstTokenAtMs: null, endedAtMs: nowMs },
    };
    this.#observer.embedded([{ type: "embedded", id, embedded }]);
  }

  cancel(id: string): void {
    for (const generation of [...this.#waiting.items, ...this.#running()]) {
      if (generation.id === id) generation.cancelled = true;
    }
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#closing) {
      this.#releaseCancelled();
      this.#admit();
      this.#reportStep();
      if (this.#running().length === 0) await this.#wakened();
      for (const generation of this.#running()) this.#step(generation);
      await nextTurn();
    }
  }

  close(): void {
    this.#closing = true;
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #releaseCancelled(): void {
    for (const generation of this.#waiting.items.filter(({ cancelled, isOver }) => cancelled || isOver)) {
      this.#waiting.remove(generation);
      this.#end(generation, generation.cancelled ? null : generation.finishReason);
    }
    for (const generation of this.#running()) if (generation.cancelled) this.#end(generation, null);
  }

  #admit(): void {
    for (;;) {
      const free = this.#slots.filter((slot) => slot === null).length;
      const generation = this.#waiting.next(free);
      if (generation === undefined) return;
      this.#waiting.remove(generation);
      generation.enteredAtMs = this.#observer.nowMs();
      this.#slots[this.#slots.indexOf(null)] = generation;
      this.#occupancyChanged = true;
    }
  }

  #step(generation: ScriptedGeneration): void {
    generation.next(this.#observer.nowMs());
    if (generation.isOver) this.#end(generation, generation.finishReason);
    else if (generation.isFollowed) this.#send(generation);
  }

  #send(generation: ScriptedGeneration): void {
    const deltas = generation.takeUnsent();
    if (deltas.length > 0) this.#events.push({ type: "deltas", generation, deltas });
  }

  #end(generation: ScriptedGeneration, finishReason: FinishReason | null): void {
    const slot = this.#slots.indexOf(generation);
    if (slot !== -1) this.#slots[slot] = null;
    this.#occupancyChanged = true;
    // An answer that nobody follows comes whole with its end; what is broken off has to be resumed from.
    if (generation.isFollowed || finishReason === null) this.#send(generation);
    const ended = generation.ended(finishReason, this.#observer.nowMs());
    this.#events.push({ type: "ended", generation, ended });
  }

  #reportStep(): void {
    const nowMs = this.#observer.nowMs();
    const isDue = nowMs - this.#reportedAtMs >= MAX_SILENCE_MS;
    if (this.#events.length === 0 && !this.#occupancyChanged && !isDue) return;
    const events = this.#choices.toJobEvents(this.#events, (id) => this.cancel(id));
    const occupancy = {
      slots: this.#slots.map((generation) => generation?.id ?? null),
      waiting: this.#waiting.items.map(({ id }) => id),
    };
    this.#events = [];
    this.#reportedAtMs = nowMs;
    this.#observer.stepped({
      events,
      occupancy: this.#occupancyChanged ? occupancy : null,
      nextStepMs: null,
    });
    this.#occupancyChanged = false;
  }

  #report(events: GenerationEvent[]): void {
    this.#observer.stepped({ events, occupancy: null, nextStepMs: null });
  }

  #running(): ScriptedGeneration[] {
    return this.#slots.filter((generation) => generation !== null);
  }

  async #wakened(): Promise<void> {
    if (this.#closing || this.#waiting.next(this.#slots.length) !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = () => {};
  }
}

function onlyFreeText(): QuernError {
  return new QuernError(
    "unsupported_parameter",
    "the scripted engine writes free text only: leave out schemas, required tools, log-probabilities and stop strings",
  );
}
