import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { PublishedChoice } from "@quern/shared/contract/published-choice";
import { engineOptions, type TestModelOptions } from "../../model-options.fixture.ts";
import { Preparer } from "../../prepare/preparer.ts";
import { loadVocabulary } from "../../prepare/tokens/vocabulary.ts";
import type { Delta } from "../../protocol/delta.ts";
import type { EngineRequest, Generated, GenerationEvent } from "../../protocol/engine-messages.ts";
import type { EntryOrder } from "../../protocol/entry-order.ts";
import { toJobError } from "../../protocol/job-error.ts";
import { type LlamaEngine, openLlamaEngine } from "./llama-engine.ts";
import type { StepRecord } from "./step-loop.ts";

/** An engine in this process, for tests that look at its steps. */
export interface RunningEngine extends AsyncDisposable {
  readonly engine: LlamaEngine;
  /** All steps so far. */
  readonly steps: readonly StepRecord[];
  countPromptTokens(request: GenerationRequest): number;
  /** Calls back after each step from now on. */
  onStep(listener: (step: StepRecord) => void): void;
  generate(request: GenerationRequest, cacheScope?: string): RunningRequest;
  /** Without a reader, as a line of a batch. */
  generateUnfollowed(request: GenerationRequest, order?: EntryOrder): RunningRequest;
  /** Another attempt at a request that has ended or was cancelled. */
  generateOn(
    id: string,
    request: GenerationRequest,
    published: PublishedChoice[],
    cacheScope?: string,
  ): RunningRequest;
}

interface RunningRequest {
  readonly id: string;
  readonly deltas: Delta[];
  /** How often it said that what was published is void. */
  restarts: number;
  /** Rejects with the job's error when it is refused. */
  readonly done: Promise<Generated>;
}

const FIRST: EntryOrder = { rank: 0, leaveFree: 0 };

/** `nowMs`: a clock of the test's own. */
export async function startEngine(
  modelPath: string,
  changes: Partial<TestModelOptions> = {},
  nowMs = () => performance.timeOrigin + performance.now(),
): Promise<RunningEngine> {
  const options = engineOptions(modelPath, { contextTokens: 1024, thinking: "optional", ...changes });
  const preparer = new Preparer(await loadVocabulary(modelPath), options);
  const requests = new Map<string, RunningRequest & Omit<PromiseWithResolvers<Generated>, "promise">>();
  const steps: StepRecord[] = [];
  const listeners: ((step: StepRecord) => void)[] = [];
  const take = (event: GenerationEvent) => {
    const request = requests.get(event.id);
    if (event.type === "deltas") request?.deltas.push(...event.deltas);
    else if (event.type === "restarted" && request !== undefined) request.restarts += 1;
    else if (event.type === "generated") request?.resolve(event.generated);
    else if (event.type === "refused") request?.reject(event.error);
  };
  const engine = await openLlamaEngine(options, preparer.facts.warmPrefixes, {
    stepped: ({ events }) => events.forEach(take),
    embedded: (events) => events.forEach(take),
    observeStep: (step) => {
      steps.push(step);
      for (const listener of listeners) listener(step);
    },
    nowMs,
  });
  const ended = engine.run();
  const submit = (
    id: string,
    request: GenerationRequest,
    changes: Partial<EngineRequest>,
  ): RunningRequest => {
    const { promise: done, ...settle } = Promise.withResolvers<Generated>();
    const running = { id, deltas: [], restarts: 0, done, ...settle };
    requests.set(id, running);
    try {
      const prepared = preparer.prepare(request);
      if (prepared.kind !== "generation") throw new Error("a chat was prepared as something else");
      engine.generate({
        id,
        order: FIRST,
        isFollowed: true,
        cacheScope: "default",
        traceparent: null,
        published: [],
        prepared: prepared.generation,
        ...changes,
      });
    } catch (error) {
      settle.reject(toJobError(error));
    }
    return running;
  };
  const nextId = () => `job_${requests.size + 1}`;
  return {
    engine,
    steps,
    countPromptTokens: (request) => preparer.count(request)[0] ?? 0,
    onStep: (listener) => void listeners.push(listener),
    generate: (request, cacheScope = "default") => submit(nextId(), request, { cacheScope }),
    generateUnfollowed: (request, order = FIRST) => submit(nextId(), request, { order, isFollowed: false }),
    generateOn: (id, request, published, cacheScope = "default") =>
      submit(id, request, { published, cacheScope }),
    [Symbol.asyncDispose]: async () => {
      engine.close();
      await ended;
      await engine[Symbol.asyncDispose]();
    },
  };
}
