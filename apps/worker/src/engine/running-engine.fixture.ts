import type { GenerationRequest } from "@quern/shared/contract/generation";
import { Engine } from "./engine.ts";
import { engineOptions } from "./engine-options.fixture.ts";
import { loadChatModel } from "./load-model.ts";
import type { Delta } from "./output/delta.ts";
import type { EngineOptions, Generated, GenerationEvent } from "./protocol.ts";
import type { StepRecord } from "./step-loop.ts";

/** An engine in this process, for tests that look at its steps. */
export interface RunningEngine extends AsyncDisposable {
  readonly engine: Engine;
  /** Of all steps so far. */
  readonly steps: readonly StepRecord[];
  /** Calls back after each step from now on. */
  onStep(listener: (step: StepRecord) => void): void;
  generate(request: GenerationRequest, tenant?: string): RunningRequest;
}

interface RunningRequest {
  readonly id: string;
  readonly deltas: Delta[];
  /** Rejects with the job's error when it is refused. */
  readonly done: Promise<Generated>;
}

export async function startEngine(
  modelPath: string,
  changes: Partial<EngineOptions> = {},
): Promise<RunningEngine> {
  const options = engineOptions(modelPath, { contextTokens: 1024, thinking: "optional", ...changes });
  const loaded = await loadChatModel(options);
  const requests = new Map<string, RunningRequest & Omit<PromiseWithResolvers<Generated>, "promise">>();
  const steps: StepRecord[] = [];
  const listeners: ((step: StepRecord) => void)[] = [];
  const hear = (event: GenerationEvent) => {
    const request = requests.get(event.id);
    if (event.type === "deltas") request?.deltas.push(...event.deltas);
    else if (event.type === "generated") request?.resolve(event.generated);
    else if (event.type === "refused") request?.reject(event.error);
  };
  const engine = await Engine.start(loaded, options, {
    report: (events) => events.forEach(hear),
    observeStep: (step) => {
      steps.push(step);
      for (const listener of listeners) listener(step);
    },
    nowMs: () => performance.timeOrigin + performance.now(),
  });
  const ended = engine.run();
  return {
    engine,
    steps,
    onStep: (listener) => void listeners.push(listener),
    generate: (request, tenant = "default") => {
      const id = `job_${requests.size + 1}`;
      const { promise: done, ...settle } = Promise.withResolvers<Generated>();
      const running = { id, deltas: [], done, ...settle };
      requests.set(id, running);
      void engine.submit({ id, request, tenant, traceparent: null });
      return running;
    },
    [Symbol.asyncDispose]: async () => {
      engine.close();
      await ended;
      await loaded[Symbol.asyncDispose]();
    },
  };
}
