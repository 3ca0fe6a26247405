import { runFiles } from "./run-files.ts";
import type { RunFlags } from "./run-options.ts";
import { readRunState } from "./run-state.ts";

/** What somebody reads who left a run before its end: what goes on, how to come back, how to end it. */
export async function detachedLines({
  output,
  format,
  local,
}: Pick<RunFlags, "output" | "format" | "local">): Promise<string[]> {
  const state = await readRunState(runFiles(output, format === "jsonl").state).catch(() => null);
  const batch = state?.batches.find(({ collected }) => !collected) ?? null;
  if (local === true) {
    return ["", "Stopped: nothing runs on. The same command again goes on where it stopped."];
  }
  if (batch === null) {
    return [
      "",
      "Stopped: nothing was submitted that runs on. The same command again begins where it stands.",
    ];
  }
  return [
    "",
    `Detached: batch ${batch.id} runs on.`,
    ...(batch.next === null ? [] : ["  the rest    is submitted by the same command, when it is done"]),
    "  re-attach   the same command again",
    `  watch       quern batch follow ${batch.id}`,
    `  cancel      quern batch cancel ${batch.id}`,
  ];
}
