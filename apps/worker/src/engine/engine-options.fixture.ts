import type { EngineOptions } from "./protocol.ts";

/** A greedy engine of one thread, for tests. */
export function engineOptionsFor(modelPath: string, changes: Partial<EngineOptions> = {}): EngineOptions {
  return {
    modelPath,
    slots: 1,
    contextTokens: 1024,
    threads: 1,
    kvType: "f16",
    thinking: "optional",
    toolCalls: "hermes",
    sampling: { thinking: { temperature: 0 }, plain: { temperature: 0 } },
    prefixSharing: "tenant",
    systemPrompts: [],
    stateDir: "unused",
    driver: "batch",
    telemetry: false,
    ...changes,
  };
}
