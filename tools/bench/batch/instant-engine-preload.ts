import type { EngineCommand, EngineReport, LoadedModelFacts } from "./lines-under-test.ts";

// Loaded into an engine child before its own code (`instantEngine`), which then never runs: every request is answered at once
// with one token, so that all that is left to measure is what a line costs outside of its engine.

const ENGINE_MAIN = /\/engines\/llama\/main\.ts$/;

// Before the wait below, behind which nothing is reached.
const FACTS: LoadedModelFacts = {
  embeddingDimensions: 1,
  architecture: "none",
  parameters: 1,
  activeParameters: 1,
  experts: null,
  quantization: null,
  trainedContextTokens: 4_096,
  fileBytes: 1,
  weightsBytes: 1,
  contextBytes: 1,
  driver: "batch",
  device: "cpu",
  gpuLayers: 0,
  memory: null,
};

if (ENGINE_MAIN.test(process.argv[1] ?? "")) {
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  const closed = Promise.withResolvers<void>();
  process.on("message", (command: EngineCommand) => {
    const report = answer(command);
    if (report !== null) process.send?.(report);
    if (command.type === "close") closed.resolve();
  });
  // Of the engine's own code nothing is loaded before this ends.
  await closed.promise;
  process.exit(0);
}

function answer(command: EngineCommand): EngineReport | null {
  switch (command.type) {
    case "load":
      return { type: "loaded", facts: FACTS };
    case "generate": {
      const nowMs = performance.timeOrigin + performance.now();
      return {
        type: "stepped",
        events: [
          {
            type: "generated",
            id: command.id,
            generated: {
              result: {
                text: "ok",
                reasoning: "",
                toolCalls: [],
                finishReason: "stop",
                logprobs: null,
                alternatives: [],
              },
              usage: { promptTokens: 1, completionTokens: 1, reasoningTokens: 0, cachedTokens: 0 },
              timings: { slotAtMs: nowMs, firstTokenAtMs: nowMs, endedAtMs: nowMs },
            },
          },
        ],
      };
    }
    case "count":
      return { type: "counted", id: command.id, tokens: [1] };
    case "embed":
    case "cancel":
    case "close":
      return null;
  }
}
