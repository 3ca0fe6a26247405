import type { EngineOptions } from "./protocol/engine-options.ts";
import type { PreparerOptions } from "./protocol/prepare-messages.ts";

/** What an engine and its preparer are told, in one. */
export type TestModelOptions = EngineOptions & PreparerOptions;

/** A greedy engine of one small slot on one thread of the CPU, as tests need it most. */
export function engineOptions(modelPath: string, changes: Partial<TestModelOptions> = {}): TestModelOptions {
  return {
    modelPath,
    kind: "chat",
    slots: 1,
    contextTokens: 256,
    threads: 1,
    kvType: "f16",
    flashAttention: "auto",
    gpuLayers: "max",
    gpu: "cpu",
    loras: [],
    thinking: "never",
    toolCalls: "hermes",
    fillInTheMiddle: false,
    sampling: { thinking: { temperature: 0 }, plain: { temperature: 0 } },
    systemPrompts: [],
    stateDir: "unused",
    driver: "batch",
    telemetry: false,
    ...changes,
  };
}
