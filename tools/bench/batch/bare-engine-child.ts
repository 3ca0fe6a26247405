import { isEmbeddingRequest } from "@quern/shared/contract/job";
import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import type { ChildFailure } from "../engine/child-question.ts";
import type { ContenderOptions } from "../engine/contender.ts";
import type { LineSpan } from "./line-spans.ts";
import type { InputLine } from "./lines.ts";
import { type FedEngine, type Generated, startFedEngine } from "./lines-under-test.ts";

/** What the bare engine's process is told and tells, over IPC. */
export type BareCommand =
  | { type: "start"; options: ContenderOptions }
  | { type: "run"; lines: InputLine[]; inFlight: number }
  | { type: "close" };

export type BareReport = { type: "ready" } | { type: "ran"; spans: LineSpan[] } | ChildFailure;

// The engine alone, in a process of its own: lines cross the channel before their round, and spans after it. Signals of a
// terminal reach the whole group; it is the parent that ends this.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));

let engine: FedEngine | null = null;

process.on("message", async (command: BareCommand) => {
  try {
    await obey(command);
  } catch (error) {
    tell({ type: "failed", message: messageOf(error) });
  }
});

async function obey(command: BareCommand): Promise<void> {
  switch (command.type) {
    case "start":
      engine = await startFedEngine(command.options);
      return tell({ type: "ready" });
    case "run":
      if (engine === null) throw new Error("an engine starts before it runs");
      return tell({ type: "ran", spans: await run(engine, command.lines, command.inFlight) });
    case "close":
      await engine?.[Symbol.asyncDispose]();
      process.removeAllListeners("disconnect");
      return process.disconnect();
  }
}

/** `inFlight` above the slots there are keeps every slot full: the next line waits inside the engine. */
async function run(target: FedEngine, lines: readonly InputLine[], inFlight: number): Promise<LineSpan[]> {
  const requests = lines.map(({ url, body }) => {
    const { request } = parseEndpointRequest(url, body, { drawSeed: () => 1 });
    if (isEmbeddingRequest(request)) throw new Error("the bare engine writes text");
    return request;
  });
  const spans: LineSpan[] = [];
  let next = 0;
  const lane = async () => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      spans.push(spanOf(await target.generate(request)));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return spans;
}

function spanOf({ timings, usage }: Generated): LineSpan {
  const { slotAtMs, endedAtMs } = timings;
  return { slotAtMs, endedAtMs, completionTokens: usage.completionTokens };
}

/** A request that is refused rejects with a JobError, which is no Error. */
function messageOf(error: unknown): string {
  return (error as { message?: string }).message ?? String(error);
}

function tell(report: BareReport): void {
  process.send?.(report);
}
