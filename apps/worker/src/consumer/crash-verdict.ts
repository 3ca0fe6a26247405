import type { EngineDied } from "../supervise/engine-process.ts";

/** A job that was alone in an engine that died, and has seen as many deaths in all, is taken for the cause. */
export const MAX_CRASHES = 3;

/**
 * What the death of an engine means for a job that was in it.
 *
 * `bystander`: it still waited in the engine and had no part in it. `again`: it runs as before, with others.
 * `suspect`: it runs alone from now on. `culprit`: it has failed.
 */
export type CrashVerdict = "bystander" | "again" | "suspect" | "culprit";

/** `crashes`: the deaths that the job has seen before. */
export function crashVerdict(
  jobId: string,
  crashes: number,
  { how, atWork }: Pick<EngineDied, "how" | "atWork">,
): CrashVerdict {
  if (!atWork.has(jobId)) return "bystander";
  const seen = crashes + 1;
  if (atWork.size === 1 && seen >= MAX_CRASHES) return "culprit";
  // A kill from outside says little about the jobs; a second one may be the answer of the system to what one of them takes.
  return how === "killed" && seen === 1 ? "again" : "suspect";
}
