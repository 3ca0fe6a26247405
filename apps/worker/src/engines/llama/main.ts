import { QuernError } from "@quern/shared/contract/errors";
import type { JobError } from "@quern/shared/contract/job";
import { startTelemetry } from "@quern/shared/process/telemetry";
import type {
  EngineCommand,
  EngineOptions,
  EngineReport,
  GenerationEvent,
} from "../../protocol/engine-messages.ts";
import { toJobError } from "../../protocol/job-error.ts";
import { Embedder } from "./embedding/embedder.ts";
import { Engine } from "./engine.ts";
import { recordGenerationSpans } from "./generation-spans.ts";
import { isChatModel, loadModel } from "./load-model.ts";

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
  const loaded = await loadModel(options).catch(tellLoadFailure);
  if (loaded === null) return;
  await using _loaded = loaded;

  /** Of the requests that have not ended. */
  const traceparents = new Map<string, string | null>();
  const report = (events: GenerationEvent[]) => {
    for (const event of events) {
      if (event.type === "deltas" || event.type === "restarted") continue;
      const traceparent = traceparents.get(event.id) ?? null;
      if (event.type === "generated") recordGenerationSpans(traceparent, event.generated);
      if (event.type === "embedded") recordGenerationSpans(traceparent, event.embedded);
      traceparents.delete(event.id);
    }
    void tell({ type: "stepped", events });
  };
  const observer = { report, nowMs: () => performance.timeOrigin + performance.now() };
  const embedder = await Embedder.start(loaded.model, options, observer).catch(tellLoadFailure);
  if (embedder === null) return;
  await using _embedder = embedder;
  const engine = isChatModel(loaded)
    ? await Engine.start(loaded, options, observer).catch(tellLoadFailure)
    : null;
  if (engine === null && isChatModel(loaded)) return;

  const closed = Promise.withResolvers<void>();
  process.on("message", (command: EngineCommand) => {
    switch (command.type) {
      case "generate":
        if (engine === null) return report([{ type: "refused", id: command.id, error: writesNoText() }]);
        traceparents.set(command.id, command.traceparent);
        return void engine.submit(command);
      case "embed":
        traceparents.set(command.id, command.traceparent);
        return embedder.submit(command);
      case "cancel":
        engine?.cancel(command.id);
        return embedder.cancel(command.id);
      case "count":
        return void tell(answerCount(command, engine, embedder));
      case "close":
        engine?.close();
        return closed.resolve();
      case "load":
        throw new Error("an engine loads once");
    }
  });
  void tell({ type: "loaded", facts: loaded.facts });
  await Promise.all([engine?.run(), closed.promise]);
}

function answerCount(
  { id, request }: Extract<EngineCommand, { type: "count" }>,
  engine: Engine | null,
  embedder: Embedder,
): EngineReport {
  try {
    if ("inputs" in request) return { type: "counted", id, tokens: embedder.countInputTokens(request) };
    if (engine === null) return { type: "count_refused", id, error: writesNoText() };
    return { type: "counted", id, tokens: [engine.countPromptTokens(request)] };
  } catch (error) {
    return { type: "count_refused", id, error: toJobError(error) };
  }
}

function writesNoText(): JobError {
  const message =
    "this model gives vectors and writes no text: send it to /v1/embeddings, or ask a chat model";
  return toJobError(new QuernError("invalid_request", message, { param: "model" }));
}

async function tellLoadFailure(error: unknown): Promise<null> {
  await tell({ type: "load_failed", error: toJobError(error) });
  return null;
}

/** Resolves when the report is on its way. Errors mean that the worker is gone, which `disconnect` tells. */
function tell(report: EngineReport): Promise<void> {
  return new Promise((resolve) => process.send?.(report, undefined, undefined, () => resolve()));
}
