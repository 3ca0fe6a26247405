import { QuernError } from "@quern/shared/contract/errors";
import type { PromptReader } from "../../prepare/prompt/prompt-reader.ts";
import type { PromptRequest } from "../../prepare/prompt/prompt-template.ts";
import { systemPrefix } from "../../prepare/prompt/system-prefix.ts";
import type { EngineOptions, EngineRequest, GenerationEvent } from "../../protocol/engine-messages.ts";
import { toJobError } from "../../protocol/job-error.ts";
import { cacheKey } from "./cache-key.ts";
import type { Driver } from "./driver/driver.ts";
import { JobChoices } from "./job-choices.ts";
import type { LoadedChatModel } from "./load-model.ts";
import { RequestReader } from "./request-reader.ts";
import { StepCost } from "./schedule/step-cost.ts";
import { StepLoop, type StepRecord } from "./step-loop.ts";
import { prepareWarmPrefixes, WarmPrefixes } from "./warm-prefixes.ts";

export interface EngineObserver {
  report: (events: GenerationEvent[]) => void;
  observeStep?: (step: StepRecord) => void;
  /** Unix milliseconds with fractions. */
  nowMs: () => number;
}

/** A loaded model that takes requests: reads them on the way in, runs the step loop behind. */
export class Engine {
  readonly #reader: RequestReader;
  readonly #observer: EngineObserver;
  readonly #choices = new JobChoices();
  readonly #loop: StepLoop;
  /** Requests that are being read; false once they are cancelled. */
  readonly #reading = new Map<string, boolean>();

  /** Ready when the caches of the declared system prompts are. */
  static async start(
    loaded: LoadedChatModel,
    options: EngineOptions,
    observer: EngineObserver,
  ): Promise<Engine> {
    const reader = new RequestReader(loaded, options);
    return new Engine(
      loaded,
      options,
      observer,
      reader,
      await warmUp(loaded.driver, options, reader.readPrompt),
    );
  }

  private constructor(
    loaded: LoadedChatModel,
    options: EngineOptions,
    observer: EngineObserver,
    reader: RequestReader,
    warmPrefixes: WarmPrefixes,
  ) {
    this.#reader = reader;
    this.#observer = observer;
    this.#loop = new StepLoop({
      driver: loaded.driver,
      slots: options.slots,
      reservedSlots: options.reservedSlots,
      slotTokens: options.contextTokens,
      cost: StepCost.of(loaded.facts.device),
      warmPrefixes,
      isEndOfGeneration: (token) => loaded.model.isEogToken(token),
      ...observer,
      report: (events) => {
        const jobEvents = this.#choices.toJobEvents(events, (id) => this.#loop.cancel(id));
        if (jobEvents.length > 0) observer.report(jobEvents);
      },
    });
  }

  /** What comes of it is reported, a refusal as well. */
  async submit(request: EngineRequest): Promise<void> {
    const { id } = request;
    this.#reading.set(id, true);
    try {
      const { generations, restarted } = await this.#reader.read(request);
      if (restarted) this.#observer.report([{ type: "restarted", id }]);
      this.#choices.begin(generations);
      for (const generation of generations) this.#loop.submit(generation);
      if (this.#reading.get(id) === false) this.#loop.cancel(id);
    } catch (error) {
      this.#observer.report([{ type: "refused", id, error: toJobError(error) }]);
    } finally {
      this.#reading.delete(id);
    }
  }

  /** The request ends within a step, with what it has. Unknown ids have ended already. */
  cancel(id: string): void {
    if (this.#reading.has(id)) this.#reading.set(id, false);
    else this.#loop.cancel(id);
  }

  /** @throws QuernError `invalid_request` when the template refuses the messages. */
  countPromptTokens(request: PromptRequest): number {
    return this.#reader.readPrompt(request).tokens.length;
  }

  run(): Promise<void> {
    return this.#loop.run();
  }

  close(): void {
    this.#loop.close();
  }
}

async function warmUp(
  driver: Driver,
  options: EngineOptions,
  readPrompt: PromptReader,
): Promise<WarmPrefixes> {
  if (options.systemPrompts.length === 0) return new WarmPrefixes([]);
  const prefixes = options.systemPrompts.map((prompt, at) => {
    const tokens = systemPrefix(readPrompt, prompt);
    if (tokens.length < options.contextTokens) return tokens;
    throw new QuernError(
      "config_invalid",
      `systemPrompts: number ${at + 1} has ${tokens.length} tokens, a slot's context only ${options.contextTokens}: ` +
        "shorten it, or raise contextTokens",
    );
  });
  return prepareWarmPrefixes(driver, prefixes, {
    folder: options.stateDir,
    modelKey: await cacheKey(options),
  });
}
