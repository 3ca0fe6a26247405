import { startTelemetry } from "@quern/shared/process/telemetry";
import { Engine } from "./engine.ts";
import { recordGenerationSpans } from "./generation-spans.ts";
import { toJobError } from "./job-error.ts";
import { loadModel } from "./load-model.ts";
import type { EngineCommand, EngineOptions, EngineReport } from "./protocol.ts";

// The engine child: one model, run by commands over IPC. It is its worker's alone and ends with the channel. Signals
// of a terminal or a container reach the whole group; what they mean is the worker's business.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
// Nothing here is worth saving, and native code may be in the middle of a decode.
const dieWithWorker = () => process.kill(process.pid, "SIGKILL");
process.once("disconnect", dieWithWorker);

process.once("message", async (command: EngineCommand) => {
  if (command.type !== "load") throw new Error(`an engine loads first, it was told to ${command.type}`);
  {
    await using _telemetry = await startTelemetry({
      enabled: command.options.telemetry,
      serviceName: "quern-engine",
    });
    await run(command.options);
  }
  process.off("disconnect", dieWithWorker);
  process.disconnect();
});

async function run(options: EngineOptions): Promise<void> {
  await using loaded = await loadModel(options).catch(async (error: unknown) => {
    await tell({ type: "load_failed", error: toJobError(error) });
    return null;
  });
  if (loaded === null) return;

  /** Of the generations that have not ended. */
  const traceparents = new Map<string, string | null>();
  const report = (events: Extract<EngineReport, { type: "stepped" }>["events"]) => {
    for (const event of events) {
      if (event.type === "generated") {
        recordGenerationSpans(traceparents.get(event.id) ?? null, event.generated);
      }
      if (event.type !== "deltas") traceparents.delete(event.id);
    }
    void tell({ type: "stepped", events });
  };
  const nowMs = () => performance.timeOrigin + performance.now();
  const engine = await Engine.start(loaded, options, { report, nowMs });

  process.on("message", (command: EngineCommand) => {
    switch (command.type) {
      case "generate":
        traceparents.set(command.id, command.traceparent);
        return void engine.submit(command);
      case "cancel":
        return engine.cancel(command.id);
      case "count":
        try {
          void tell({
            type: "counted",
            id: command.id,
            promptTokens: engine.countPromptTokens(command.request),
          });
        } catch (error) {
          void tell({ type: "count_refused", id: command.id, error: toJobError(error) });
        }
        return;
      case "close":
        return engine.close();
      case "load":
        throw new Error("an engine loads once");
    }
  });
  void tell({ type: "loaded", facts: loaded.facts });
  await engine.run();
}

/** Resolves when the report is on its way. Errors mean that the worker is gone, which `disconnect` tells. */
function tell(report: EngineReport): Promise<void> {
  return new Promise((resolve) => process.send?.(report, undefined, undefined, () => resolve()));
}
