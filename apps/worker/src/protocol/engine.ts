import type { EmbeddingCommand, EngineRequest, GenerationEvent, StepReport } from "./engine-messages.ts";
import type { EngineOptions, LoadedModelFacts } from "./engine-options.ts";

/** Where an engine reports to. Calls are synchronous and never throw. */
export interface EngineObserver {
  stepped: (report: StepReport) => void;
  /** Vectors were made; empty: one more input of a request is done. */
  embedded: (events: GenerationEvent[]) => void;
  /** Unix milliseconds with fractions. */
  nowMs: () => number;
}

/**
 * What runs a model for a worker. An implementation has one loop over its slots; every request that it takes ends with
 * exactly one `generated`, `embedded` or `refused` event, unless the engine is closed before.
 *
 * - It admits waiting requests in the order that they carry (`EntryOrder`) and knows no other policy.
 * - It reports a request as the occupant of a slot before it decodes the request's first token.
 * - A cancelled request ends within a step, with what it has (`finishReason` null). Unknown ids are ignored.
 * - Greedy sampling resumed behind published tokens gives the text that an uninterrupted run gives.
 *
 * `engine-contract.fixture.ts` tests these rules on each implementation.
 */
export interface Engine extends AsyncDisposable {
  readonly facts: LoadedModelFacts;
  generate(request: EngineRequest): void;
  embed(command: EmbeddingCommand): void;
  cancel(id: string): void;
  /** Resolves when the engine is closed. */
  run(): Promise<void>;
  /** Requests that have not ended are dropped without a report. */
  close(): void;
}

/** @throws QuernError when the model can't be loaded. */
export type OpenEngine = (
  options: EngineOptions,
  warmPrefixes: readonly (readonly number[])[],
  observer: EngineObserver,
) => Promise<Engine>;
