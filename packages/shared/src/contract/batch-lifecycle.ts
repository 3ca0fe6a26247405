import { z } from "zod";

/**
 * A batch's life, in OpenAI's words. `model_awaited` leaves it `validating`.
 *
 *   validating ──validated──▶ in_progress ──lines_ended──▶ finalizing ──completed──▶ completed
 *       │  │                     │  │  └─────due─────────▶ finalizing ──expired────▶ expired
 *       │  │                     │  └────input_lost─────▶ finalizing ──rejected───▶ failed
 *       │  └──rejected──▶ failed │
 *       └───cancel──▶ cancelling ◀──cancel─┘  ──cancelled──▶ cancelled
 *
 * While it is `finalizing` because it was due, or `cancelling`, no more lines are fed, those that run are stopped, and
 * what is left gets an error line each; then the files are closed. Where its input is gone, those that run come to their
 * end, and what is left has no line.
 */
export const BATCH_STATUSES = [
  "validating",
  "in_progress",
  "finalizing",
  "cancelling",
  "completed",
  "failed",
  "expired",
  "cancelled",
] as const;
export type BatchStatus = (typeof BATCH_STATUSES)[number];
export const batchStatusSchema = z.enum(BATCH_STATUSES);

export const BATCH_EVENTS = [
  "model_awaited",
  "validated",
  "rejected",
  "lines_ended",
  "due",
  "input_lost",
  "cancel",
  "completed",
  "expired",
  "cancelled",
] as const;
export type BatchEvent = (typeof BATCH_EVENTS)[number];

type BatchOutcome = { to: BatchStatus } | "ignore";

const IGNORE_ALL: Record<BatchEvent, BatchOutcome> = {
  model_awaited: "ignore",
  validated: "ignore",
  rejected: "ignore",
  lines_ended: "ignore",
  due: "ignore",
  input_lost: "ignore",
  cancel: "ignore",
  completed: "ignore",
  expired: "ignore",
  cancelled: "ignore",
};

export const BATCH_LIFECYCLE: Record<BatchStatus, Record<BatchEvent, BatchOutcome>> = {
  validating: {
    ...IGNORE_ALL,
    model_awaited: { to: "validating" },
    validated: { to: "in_progress" },
    rejected: { to: "failed" },
    due: { to: "finalizing" },
    cancel: { to: "cancelling" },
  },
  in_progress: {
    ...IGNORE_ALL,
    lines_ended: { to: "finalizing" },
    due: { to: "finalizing" },
    input_lost: { to: "finalizing" },
    cancel: { to: "cancelling" },
  },
  // Too late for a cancel: all that can end differently has ended.
  finalizing: {
    ...IGNORE_ALL,
    completed: { to: "completed" },
    expired: { to: "expired" },
    rejected: { to: "failed" },
  },
  cancelling: { ...IGNORE_ALL, cancelled: { to: "cancelled" } },
  completed: IGNORE_ALL,
  failed: IGNORE_ALL,
  expired: IGNORE_ALL,
  cancelled: IGNORE_ALL,
};

export function isBatchOver(status: BatchStatus): boolean {
  return BATCH_EVENTS.every((event) => BATCH_LIFECYCLE[status][event] === "ignore");
}
