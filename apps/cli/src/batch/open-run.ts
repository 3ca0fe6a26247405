import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { tryLockFile } from "@quern/shared/process/file-lock";
import type { RunFiles } from "./run-files.ts";
import { newRunState, type RunState, readRunState } from "./run-state.ts";

/** @throws QuernError `config_invalid` when another run works on the same output. */
export async function lockRun({ lock, output }: RunFiles): Promise<Disposable> {
  const taken = await tryLockFile(lock);
  if (taken !== null) return taken;
  throw new QuernError("config_invalid", `another run works on ${output}: wait for it, or choose another -o`);
}

/**
 * What an earlier run of the same requests has left, or a new beginning.
 * @throws QuernError `config_invalid` rather than to overwrite what is something else.
 */
export async function openRun(files: RunFiles, digest: string, fresh: boolean): Promise<RunState> {
  const state = fresh ? null : await readRunState(files.state);
  if (state === null) {
    if (!fresh && existsSync(files.output)) {
      throw new QuernError(
        "config_invalid",
        `${files.output} is there already, and no run of this command wrote it: --fresh overwrites it, or choose another -o`,
      );
    }
    for (const path of [files.state, files.answers, files.errors]) await rm(path, { force: true });
    return newRunState(digest);
  }
  if (state.digest !== digest) {
    throw new QuernError(
      "config_invalid",
      `${files.output} belongs to another input, or to other options: --fresh starts over, or choose another -o`,
    );
  }
  // Whoever removed the answers gets them again, as long as the server has them.
  if (!existsSync(files.answers)) for (const batch of state.batches) batch.collected = false;
  return state;
}
