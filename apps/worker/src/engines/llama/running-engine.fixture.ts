import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { Delta } from "../../protocol/delta.ts";
import type {
  EngineOptions,
  EngineRequest,
  Generated,
  GenerationEvent,
} from "../../protocol/engine-messages.ts";
import type { PublishedChoice } from "../../protocol/published-choice.ts";
import { Engine } from "./engine.ts";
import { engineOptions } from "./engine-options.fixture.ts";
import { loadChatModel } from "./load-model.ts";
import type { StepRecord } from "./step-loop.ts";

/** An engine in this process, for tests that look at its steps. */
export interface RunningEngine extends AsyncDisposable {
  readonly engine: Engine;
  /** Of all steps so far. */
  readonly steps: readonly StepRecord[];
  /** Calls back after each step from now on. */
  onStep(listener: (step: StepRecord) => void): void;
  generate(request: GenerationRequest, tenant?: string): RunningRequest;
  /** As a line of a batch: nobody follows it. */
  generateUnfollowed(request: GenerationRequest): RunningRequest;
  /** Another attempt at a request that has ended or was cancelled. */
  generateOn(
    id: string,
    request: GenerationRequest,
    published: PublishedChoice[],
    tenant?: string,
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

/** `nowMs`: a clock of the test's own. */
export async function startEngine(
  modelPath: string,
  changes: Partial<EngineOptions> = {},
  nowMs = () => performance.timeOrigin + performance.now(),
): Promise<RunningEngine> {
  const options = engineOptions(modelPath, { contextTokens: 1024, thinking: "optional", ...changes });
  const loaded = await loadChatModel(options);
  const requests = new Map<string, RunningRequest & Omit<PromiseWithResolvers<Generated>, "promise">>();
  const steps: StepRecord[] = [];
  const listeners: ((step: StepRecord) => void)[] = [];
  const hear = (event: GenerationEvent) => {
    const request = requests.get(event.id);
    if (event.type === "deltas") request?.deltas.push(...event.deltas);
    else if (event.type === "restarted" && request !== undefined) request.restarts += 1;
    else if (event.type === "generated") request?.resolve(event.generated);
    else if (event.type === "refused") request?.reject(event.error);
  };
  const engine = await Engine.start(loaded, options, {
    report: (events) => events.forEach(hear),
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
    tenant: string,
    published: PublishedChoice[],
    as: Pick<EngineRequest, "class" | "isFollowed"> = { class: "interactive", isFollowed: true },
  ) => {
    const { promise: done, ...settle } = Promise.withResolvers<Generated>();
    const running = { id, deltas: [], restarts: 0, done, ...settle };
    requests.set(id, running);
    void engine.submit({
      id,
      ...as,
      request,
      tenant,
      traceparent: null,
      published,
    });
    return running;
  };
  return {
    engine,
    steps,
    onStep: (listener) => void listeners.push(listener),
    generate: (request, tenant = "default") => submit(`job_${requests.size + 1}`, request, tenant, []),
    generateUnfollowed: (request) =>
      submit(`job_${requests.size + 1}`, request, "default", [], { class: "batch", isFollowed: false }),
    generateOn: (id, request, published, tenant = "default") => submit(id, request, tenant, published),
    [Symbol.asyncDispose]: async () => {
      engine.close();
      await ended;
      await loaded[Symbol.asyncDispose]();
    },
  };
}
