import { fork } from "node:child_process";
import { join } from "node:path";
import { ownChild } from "./child-lifetime.ts";
import { askChild } from "./child-question.ts";
import type { ChildContenderName, Contender, ContenderName, ContenderOptions } from "./contender.ts";
import type { ChildCommand, ChildReport } from "./contender-child.ts";

/** This file's own checkout, unless another one's contender-child.ts is named. */
const CHILD_FILE = join(import.meta.dirname, "contender-child.ts");

/**
 * Starts a contender in a process of its own; resolves when its model is loaded. `stop` kills it, and then this rejects.
 *
 * @throws QuernError `engine_failed` with what the contender said, or how its process ended.
 */
export async function startChildContender(
  name: ChildContenderName,
  options: ContenderOptions,
  stop: AbortSignal,
  { file, name: shownName }: { file: string; name: ContenderName } = { file: CHILD_FILE, name },
): Promise<Contender & AsyncDisposable> {
  stop.throwIfAborted();
  const child = fork(file, {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const lifetime = ownChild(child, stop);
  const ask = (command: ChildCommand) => askChild<ChildReport>(shownName, child, command);
  const toContender = (version: string): Contender & AsyncDisposable => ({
    name: shownName,
    version,
    run: async (workload) => {
      const report = await ask({ type: "run", workload });
      if (report.type !== "ran") throw new Error(`${shownName} answered a round with ${report.type}`);
      return report.trace;
    },
    [Symbol.asyncDispose]: () =>
      lifetime.end(() => {
        if (child.connected) child.send({ type: "close" } satisfies ChildCommand);
      }),
  });
  try {
    const report = await ask({ type: "start", name, options });
    if (report.type !== "ready") throw new Error(`${shownName} answered its start with ${report.type}`);
    return toContender(report.version);
  } catch (error) {
    lifetime.kill();
    await lifetime.exited;
    throw error;
  }
}
