import type { ChildContenderName, ContenderOptions } from "./contender.ts";
import { type RoundTrace, runWorkload, type Target, type Workload } from "./workload.ts";

/** What a contender's process is told and tells, over IPC. */
export type ChildCommand =
  | { type: "start"; name: ChildContenderName; options: ContenderOptions }
  | { type: "run"; workload: Workload }
  | { type: "close" };

export type ChildReport =
  | { type: "ready"; version: string }
  | { type: "ran"; trace: RoundTrace }
  | { type: "failed"; message: string };

// The process of one contender that uses the library: its workload is driven in here, so that no token crosses a
// process boundary while it is measured. Signals of a terminal reach the whole group; it is the parent that ends this.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));

let target: (Target & AsyncDisposable) | null = null;

process.on("message", async (command: ChildCommand) => {
  try {
    await obey(command);
  } catch (error) {
    tell({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  }
});

async function obey(command: ChildCommand): Promise<void> {
  switch (command.type) {
    case "start":
      target = await startTarget(command.name, command.options);
      return tell({ type: "ready", version: target.version });
    case "run":
      if (target === null) throw new Error("a contender starts before it runs");
      return tell({ type: "ran", trace: await runWorkload(target, command.workload) });
    case "close":
      await target?.[Symbol.asyncDispose]();
      process.removeAllListeners("disconnect");
      return process.disconnect();
  }
}

/** Each process loads its own contender's code only. */
async function startTarget(
  name: ChildContenderName,
  options: ContenderOptions,
): Promise<Target & AsyncDisposable> {
  switch (name) {
    case "quern":
      return (await import("./engine-under-test.ts")).startEngineUnderTest(options);
    case "completion":
      return (await import("./library-completion.ts")).startLibraryCompletion(options);
    case "evaluate":
      return (await import("./library-evaluate.ts")).startLibraryEvaluate(options);
  }
}

function tell(report: ChildReport): void {
  process.send?.(report);
}
