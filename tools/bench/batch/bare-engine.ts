import { fork } from "node:child_process";
import { join } from "node:path";
import { ownChild } from "../engine/child-lifetime.ts";
import { askChild } from "../engine/child-question.ts";
import type { ContenderOptions } from "../engine/contender.ts";
import type { BareCommand, BareReport } from "./bare-engine-child.ts";
import type { LineSpan } from "./line-spans.ts";
import type { InputLine } from "./lines.ts";

/** Lines on their way into the engine for each slot: one runs, one waits. */
const IN_FLIGHT_PER_SLOT = 2;

/** The worker's engine with nothing around it: no queue, no Redis, no channel while it runs. */
export interface BareEngine extends AsyncDisposable {
  /** All lines, with slots kept full. */
  run: (lines: InputLine[]) => Promise<LineSpan[]>;
}

/** Resolves when its model is loaded. @throws QuernError `engine_failed`. */
export async function startBareEngine(options: ContenderOptions, stop: AbortSignal): Promise<BareEngine> {
  stop.throwIfAborted();
  const child = fork(join(import.meta.dirname, "bare-engine-child.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const lifetime = ownChild(child, stop);
  const ask = (command: BareCommand) => askChild<BareReport>("the bare engine", child, command);
  try {
    await ask({ type: "start", options });
  } catch (error) {
    lifetime.kill();
    await lifetime.exited;
    throw error;
  }
  return {
    run: async (lines) => {
      const report = await ask({ type: "run", lines, inFlight: options.slots * IN_FLIGHT_PER_SLOT });
      if (report.type !== "ran") throw new Error(`the bare engine answered a round with ${report.type}`);
      return report.spans;
    },
    [Symbol.asyncDispose]: () =>
      lifetime.end(() => {
        if (child.connected) child.send({ type: "close" } satisfies BareCommand);
      }),
  };
}
