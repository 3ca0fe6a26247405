import { startTelemetry } from "@quern/shared/process/telemetry";
import type { Engine, EngineObserver, OpenEngine } from "../protocol/engine.ts";
import type { EngineCommand, EngineReport, GenerationEvent } from "../protocol/engine-messages.ts";
import { toJobError } from "../protocol/job-error.ts";
import { recordGenerationSpans } from "./generation-spans.ts";

/**
 * Runs an engine as a worker's child: commands and reports cross the IPC channel. The child belongs to its worker and ends
 * with the channel.
 */
export function hostEngine(open: OpenEngine): void {
  // Signals of a terminal or a container reach the whole group; the worker decides what they mean.
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
      await run(open, command);
    }
    process.off("disconnect", dieWithWorker);
    process.disconnect();
  });
}

async function run(
  open: OpenEngine,
  { options, warmPrefixes }: Extract<EngineCommand, { type: "load" }>,
): Promise<void> {
  const spans = new GenerationSpans();
  const observer: EngineObserver = {
    stepped: (report) => {
      spans.record(report.events);
      void send({ type: "stepped", ...report });
    },
    embedded: (events) => {
      spans.record(events);
      void send({ type: "embedding", events });
    },
    nowMs: () => performance.timeOrigin + performance.now(),
  };
  let engine: Engine;
  try {
    engine = await open(options, warmPrefixes, observer);
  } catch (error) {
    return send({ type: "load_failed", error: toJobError(error) });
  }
  await using opened = engine;
  process.on("message", (command: EngineCommand) => {
    switch (command.type) {
      case "generate":
        spans.began(command);
        return opened.generate(command);
      case "embed":
        spans.began(command);
        return opened.embed(command);
      case "cancel":
        return opened.cancel(command.id);
      case "close":
        return opened.close();
      case "load":
        throw new Error("an engine loads once");
    }
  });
  void send({ type: "loaded", facts: opened.facts });
  await opened.run();
}

/** The spans of requests, recorded when they end. */
class GenerationSpans {
  /** By request that has not ended. */
  readonly #traceparents = new Map<string, string | null>();

  began({ id, traceparent }: { id: string; traceparent: string | null }): void {
    this.#traceparents.set(id, traceparent);
  }

  record(events: readonly GenerationEvent[]): void {
    for (const event of events) {
      if (event.type === "deltas" || event.type === "restarted") continue;
      const traceparent = this.#traceparents.get(event.id) ?? null;
      if (event.type === "generated") recordGenerationSpans(traceparent, event.generated);
      if (event.type === "embedded") recordGenerationSpans(traceparent, event.embedded);
      this.#traceparents.delete(event.id);
    }
  }
}

/** Resolves when the report is on its way. Errors mean that the worker is gone, which `disconnect` reports. */
function send(report: EngineReport): Promise<void> {
  return new Promise((resolve) => process.send?.(report, undefined, undefined, () => resolve()));
}
