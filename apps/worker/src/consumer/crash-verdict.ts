import type { HandBackReason } from "@quern/shared/redis/job-store";
import type { EngineEnd } from "../supervise/engine-end.ts";

/** A job that was alone in an engine that crashed or hung, and has seen as many such deaths in all, is the cause. */
export const MAX_CRASHES = 3;
/** A job that was alone when its engine was killed, and has seen as many kills in a row without getting further, ends. */
export const MAX_KILLS = 20;

const SUSPECT_AFTER_OOM_KILLS = 2;
const SUSPECT_AFTER_KILLS = 5;
/** A job takes its memory at its beginning: memory that runs out later was taken by something else. */
const SETTLED_AFTER_MS = 60_000;

const FIRST_BACK_OFF_MS = 250;
const MAX_BACK_OFF_MS = 30_000;

/** The death of an engine, as one of its jobs saw it. */
export interface SeenDeath {
  how: EngineEnd;
  /** Whether the kernel's OOM killer was at work meanwhile, where that can be read. */
  oomKilled: boolean;
  /** Whether the engine was at work on the job, or the job still waited for a slot. */
  wasAtWork: boolean;
  /** Whether the engine was at work on nothing else. */
  wasAlone: boolean;
  ranMs: number;
  /** Whether the job has published tokens behind those of earlier attempts. */
  gotFurther: boolean;
  /** What the job has seen before. */
  crashes: number;
  kills: number;
}

/**
 * What the death of an engine means for a job that was in it: the job goes back to its queue after `backOffMs`, from now on
 * to run alone when it is made a suspect, or it fails.
 */
export type CrashVerdict =
  | { kind: "hand_back"; because: HandBackReason; makesSuspect: boolean; backOffMs: number }
  | { kind: "fail"; after: "crashes" | "kills" };

type Cause = "crashed" | "hung" | "out_of_memory" | "killed";
/** `suspectAt`, `failsAt`: counts at which the job becomes a suspect and, when it was alone, fails. */
type Weight = { counts: "crashes" | "kills"; suspectAt: number; failsAt: number } | "forgiven";

const CRASH: Weight = { counts: "crashes", suspectAt: 1, failsAt: MAX_CRASHES };
const killOf = (suspectAt: number): Weight => ({ counts: "kills", suspectAt, failsAt: MAX_KILLS });

/**
 * A crash counts however far the job got: what crashes an engine at every hundredth token is a poison too. A kill of a job
 * that got further is none of its doing, and ends the row of kills.
 */
const WEIGHTS: Record<Cause, Record<"further" | "no_further", Weight>> = {
  crashed: { further: CRASH, no_further: CRASH },
  hung: { further: CRASH, no_further: CRASH },
  out_of_memory: { further: "forgiven", no_further: killOf(SUSPECT_AFTER_OOM_KILLS) },
  killed: { further: "forgiven", no_further: killOf(SUSPECT_AFTER_KILLS) },
};

export function crashVerdict(death: SeenDeath): CrashVerdict {
  if (!death.wasAtWork) return handBack("given_back", false, 0);
  const weight = WEIGHTS[causeOf(death)][death.gotFurther ? "further" : "no_further"];
  if (weight === "forgiven") return handBack("killed_further", false, 0);
  const { counts, suspectAt, failsAt } = weight;
  const seen = death[counts] + 1;
  if (death.wasAlone && seen >= failsAt) return { kind: "fail", after: counts };
  const makesSuspect = seen >= suspectAt;
  return counts === "crashes"
    ? handBack("crashed", makesSuspect, 0)
    : handBack("killed", makesSuspect, backOffMs(seen));
}

/** Which bound a job has reached that is claimed once more, as after the loss of its worker; null: it may run. */
export function reachedBound({
  crashes,
  kills,
}: {
  crashes: number;
  kills: number;
}): "crashes" | "kills" | null {
  if (crashes >= MAX_CRASHES) return "crashes";
  return kills >= MAX_KILLS ? "kills" : null;
}

function causeOf({ how, oomKilled, ranMs }: SeenDeath): Cause {
  return how === "killed" && oomKilled && ranMs < SETTLED_AFTER_MS ? "out_of_memory" : how;
}

/** None after the first kill; twice the last one after each further. */
function backOffMs(kills: number): number {
  return kills < 2 ? 0 : Math.min(FIRST_BACK_OFF_MS * 2 ** (kills - 2), MAX_BACK_OFF_MS);
}

function handBack(because: HandBackReason, makesSuspect: boolean, delayMs: number): CrashVerdict {
  return { kind: "hand_back", because, makesSuspect, backOffMs: delayMs };
}
