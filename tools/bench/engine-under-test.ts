import { QuernError } from "@quern/shared/contract/errors";
import { loadModel } from "../../apps/worker/src/engine/load-model.ts";
import { GenerationOutput } from "../../apps/worker/src/engine/output/generation-output.ts";
import type { GenerationEvent } from "../../apps/worker/src/engine/protocol.ts";
import { samplerOptions } from "../../apps/worker/src/engine/sampling.ts";
import type { Generation } from "../../apps/worker/src/engine/slot.ts";
import { StepLoop } from "../../apps/worker/src/engine/step-loop.ts";
import type { ContenderOptions } from "./contender.ts";
import { ownCpu } from "./cpu-time.ts";
import type { BenchRequest, GenerationTrace, Target } from "./workload.ts";

/** One pass of an engine's loop. Times are milliseconds of the clock that token times are told in. */
export interface StepRecord {
  /** Ids of the slots in it, ascending. */
  slots: number[];
  /** How many of them decoded a token of a running stream; others prefill, or fill a gap between ids. */
  rows: number;
  prefillTokens: number;
  startedAtMs: number;
  endedAtMs: number;
}

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

/**
 * Quern's engine as an engine child runs it, without templates and IPC: tokens in, tokens out. All that the benchmarks
 * know of apps/worker stands in this file.
 *
 * @throws QuernError `model_load_failed`.
 */
export async function startEngineUnderTest(options: ContenderOptions): Promise<Target & AsyncDisposable> {
  const loaded = await loadModel({
    ...options,
    kvType: "f16",
    thinking: "never",
    sampling: { thinking: {}, plain: {} },
    telemetry: false,
  });
  const { model, sequences } = loaded;
  const pending = new Map<string, Pending>();
  const nowMs = () => performance.now();
  const report = (events: GenerationEvent[]) => {
    for (const event of events) settle(pending, event, nowMs());
  };
  // End tokens are tokens like any other: every contender generates the same number of them.
  const loop = new StepLoop({ sequences, isEndOfGeneration: () => false, report, nowMs });
  const running = loop.run().catch((error: unknown) => {
    for (const { reject } of pending.values()) reject(error);
  });
  let submitted = 0;

  return {
    version: model.llama.llamaCppRelease.release,
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
          toolCalls: false,
          toolCallId: String,
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
    takeSteps: () => null,
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
    promptTokens: request.promptTokens as Generation["promptTokens"],
    maxTokens: request.maxTokens,
    sampler: samplerOptions({ sampling: { temperature: 0 }, seed: 1 }, {}),
    output,
    cancelled: false,
  };
}

function settle(pending: Map<string, Pending>, event: GenerationEvent, nowMs: number): void {
  const generation = pending.get(event.id);
  if (generation === undefined || event.type === "deltas") return;
  pending.delete(event.id);
  if (event.type === "refused") {
    generation.reject(new QuernError("engine_failed", event.error.message));
    return;
  }
  const { cachedTokens } = event.generated.usage;
  generation.resolve({ ...generation.trace, endedAtMs: nowMs, cachedTokens });
}
