import { z } from "zod";

/**
 * A job's life.
 *
 *   queued ──claim──▶ running ──complete──▶ completed
 *     │ ▲               │  │
 *     │ └───hand_back───┘  ├──fail────────▶ failed
 *     └──────cancel────────┴──cancel──────▶ cancelled        (either way: expire ──▶ expired)
 *
 * `claim` out of `running` is a takeover: the earlier attempt's worker vanished without handing back. The new
 * attempt has a higher number (the fencing epoch), so whatever the old one still sends is rejected. Only a job that has
 * lost too many attempts that way goes back to `queued`, to run alone.
 */
export const JOB_STATES = ["queued", "running", "completed", "failed", "cancelled", "expired"] as const;
export type JobState = (typeof JOB_STATES)[number];
export const jobStateSchema = z.enum(JOB_STATES);

export type JobEvent = "claim" | "hand_back" | "complete" | "fail" | "cancel" | "expire";

/** `ask_worker`: only the worker that runs the job may end it; it is told and commits the end itself. */
export type Outcome = { to: JobState } | "ignore" | "ask_worker" | "impossible";

export const LIFECYCLE: Record<JobState, Record<JobEvent, Outcome>> = {
  queued: {
    claim: { to: "running" },
    hand_back: "ignore", // a stale attempt that was already handed back
    complete: "ignore", // likewise: its epoch has lapsed
    fail: "ignore", // likewise; a job that may not be tried again is claimed, and failed by its claimer
    cancel: { to: "cancelled" },
    expire: { to: "expired" },
  },
  running: {
    claim: { to: "running" },
    hand_back: { to: "queued" },
    complete: { to: "completed" },
    fail: { to: "failed" },
    cancel: "ask_worker",
    expire: "ask_worker",
  },
  completed: ended(),
  failed: ended(),
  cancelled: ended(),
  expired: ended(),
};

/** A terminal state never changes again, whatever arrives late. */
function ended(): Record<JobEvent, Outcome> {
  return {
    claim: "ignore",
    hand_back: "ignore",
    complete: "ignore",
    fail: "ignore",
    cancel: "ignore",
    expire: "ignore",
  };
}

export const TERMINAL_STATES = ["completed", "failed", "cancelled", "expired"] as const satisfies JobState[];
export type TerminalState = (typeof TERMINAL_STATES)[number];

export function isTerminal(state: JobState): state is TerminalState {
  return state !== "queued" && state !== "running";
}
