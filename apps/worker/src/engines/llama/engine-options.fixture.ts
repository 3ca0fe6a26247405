import type { EngineOptions } from "../../protocol/engine-messages.ts";

/** A greedy engine of one small slot on one thread of the CPU, as tests need it most. */
export function engineOptions(modelPath: string, changes: Partial<EngineOptions> = {}): EngineOptions {
  return {
    modelPath,
    kind: "chat",
    slots: 1,
    reservedSlots: 0,
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
    prefixSharing: "tenant",
    systemPrompts: [],
    stateDir: "unused",
    driver: "batch",
    telemetry: false,
    ...changes,
  };
}
