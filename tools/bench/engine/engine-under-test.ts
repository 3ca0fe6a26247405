import type { LoopEvent } from "../../../apps/worker/src/engines/job-choices.ts";
import { samplerOptions } from "../../../apps/worker/src/engines/llama/driver/sampling.ts";
import type { Generation } from "../../../apps/worker/src/engines/llama/generation/generation.ts";
import { type LoadedChatModel, loadChatModel } from "../../../apps/worker/src/engines/llama/load-model.ts";
import { GenerationOutput } from "../../../apps/worker/src/engines/llama/output/generation-output.ts";
import { StepCost } from "../../../apps/worker/src/engines/llama/schedule/step-cost.ts";
import { StepLoop, type StepRecord } from "../../../apps/worker/src/engines/llama/step-loop.ts";
import { WarmPrefixes } from "../../../apps/worker/src/engines/llama/warm-prefixes.ts";
import type { EngineOptions } from "../../../apps/worker/src/protocol/engine-options.ts";
import type { ContenderOptions } from "./contender.ts";
import { ownCpu } from "./cpu-time.ts";
import type { BenchRequest, GenerationTrace, Target } from "./workload.ts";

export type { StepRecord };

interface Pending {
  trace: Pick<GenerationTrace, "sentAtMs" | "tokenAtMs">;
  resolve: (trace: GenerationTrace) => void;
  reject: (reason: unknown) => void;
}

type OutputOptions = ConstructorParameters<typeof GenerationOutput>[0];

/** The step loop tells of text, and of fast text every 25 ms only. Here every token counts, as it enters its output. */
class ObservedOutput extends GenerationOutput {
  readonly #onToken: () => void;

  constructor(options: OutputOptions, onToken: () => void) {
    super(options);
    this.#onToken = onToken;
  }

  override push(token: number): void {
    this.#onToken();
    super.push(token);
  }
}

/** The model as an engine child loads it. @throws QuernError `model_load_failed`. */
export function loadUnderTest(
  options: ContenderOptions,
  flashAttention: EngineOptions["flashAttention"],
): Promise<LoadedChatModel> {
  return loadChatModel({
    ...options,
    kind: "chat",
    kvType: "f16",
    flashAttention,
    gpuLayers: "max",
    gpu: null,
    loras: [],
    stateDir: "",
    driver: "batch",
    telemetry: false,
  });
}

/**
 * Quern's engine as an engine child runs it, without templates and IPC: tokens in, tokens out. The benchmarks
 * know the apps by files like this one alone.
 *
 * @throws QuernError `model_load_failed`.
 */
export async function startEngineUnderTest(options: ContenderOptions): Promise<Target & AsyncDisposable> {
  const loaded = await loadUnderTest(options, "auto");
  const { model, llama, driver } = loaded;
  const pending = new Map<string, Pending>();
  let steps: StepRecord[] = [];
  const nowMs = () => performance.now();
  const loop = new StepLoop({
    driver,
    slots: options.slots,
    slotTokens: options.contextTokens,
    cost: StepCost.of(loaded.facts.device),
    unmeasuredTokenMs: 1,
    warmPrefixes: new WarmPrefixes([]),
    // End tokens are tokens like any other: every contender generates the same number of them.
    isEndOfGeneration: () => false,
    report: ({ events }) => {
      for (const event of events) settle(pending, event, nowMs());
    },
    observeStep: (step) => steps.push(step),
    nowMs,
  });
  const running = loop.run().catch((error: unknown) => {
    for (const { reject } of pending.values()) reject(error);
  });
  let submitted = 0;

  return {
    version: llama.llamaCppRelease.release,
    tokenTimes: "observed",
    answerLength: "exact",
    generate: (request, onToken) => {
      const { promise, resolve, reject } = Promise.withResolvers<GenerationTrace>();
      const id = String(submitted++);
      const trace = { sentAtMs: nowMs(), tokenAtMs: [] as number[] };
      pending.set(id, { trace, resolve, reject });
      const output = new ObservedOutput(
        {
          begin: "answering",
          tools: [],
          toolCallForm: "hermes",
          toolCallId: String,
          tokenBytes: null,
          choice: 0,
          stop: [],
          detokenize: (tokens) => model.detokenize(tokens as Parameters<typeof model.detokenize>[0], true),
        },
        () => {
          trace.tokenAtMs.push(nowMs());
          onToken();
        },
      );
      loop.submit(toGeneration(id, request, output));
      return promise;
    },
    cpu: ownCpu,
    takeSteps: () => {
      const taken = steps;
      steps = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      loop.close();
      await running;
      await loaded[Symbol.asyncDispose]();
    },
  };
}

function toGeneration(id: string, request: BenchRequest, output: GenerationOutput): Generation {
  return {
    id,
    choice: 0,
    order: { rank: 0, leaveFree: 0 },
    isFollowed: true,
    inputTokens: request.promptTokens as Generation["inputTokens"],
    promptLength: request.promptTokens.length,
    spoken: null,
    cacheScope: "",
    maxTokens: request.maxTokens,
    sampling: samplerOptions({ sampling: { temperature: 0 }, seed: 1, logitBias: [] }),
    grammar: null,
    thinkingBudget: null,
    topLogprobs: null,
    output,
    cancelled: false,
  };
}

function settle(pending: Map<string, Pending>, event: LoopEvent, nowMs: number): void {
  const generation = pending.get(event.generation.id);
  if (generation === undefined || event.type === "deltas") return;
  pending.delete(event.generation.id);
  if (event.type === "failed") generation.reject(event.error);
  else {
    const { cachedTokens } = event.ended;
    generation.resolve({ ...generation.trace, endedAtMs: nowMs, cachedTokens });
  }
}
