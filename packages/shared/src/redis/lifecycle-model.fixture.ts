import type { JobEvent, JobState, TerminalState } from "../contract/lifecycle.ts";
import { isTerminal, LIFECYCLE } from "../contract/lifecycle.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import type { SequencedEvent } from "./job-store.ts";

/**
 * What Redis should hold of a job and answer about it, said again without Redis: the lifecycle table, the fence, and
 * the numbering of events. The property test sends every command to both and compares.
 */
export interface ModelJob {
  state: JobState;
  attempt: number;
  crashes: number;
  cancelRequested: boolean;
  queuedAtMs: number;
  startedAtMs: number | null;
  firstTokenAtMs: number | null;
  endedAtMs: number | null;
  events: { id: string; event: TokenEvent }[];
  /** Whether the record has an expiry: until it is accepted, and from its end on. */
  expires: boolean;
}

/** What reaches Redis. `events`: what the writer believes unpublished. */
export type SentCommand =
  | { kind: "create" | "confirm" | "claim" | "cancel" }
  | { kind: "append"; epoch: number; events: SequencedEvent[] }
  | { kind: "commit"; epoch: number; events: SequencedEvent[]; state: TerminalState }
  | { kind: "hand_back"; epoch: number; events: SequencedEvent[]; engineCrashed: boolean };

/** A job that is there, or null before it was created. */
export interface Model {
  job: ModelJob | null;
}

/** Changes the model as the command changes Redis; returns the reply in the words of `job-store.ts`. */
export function applyToModel(model: Model, command: SentCommand, nowMs: number): string {
  if (command.kind === "create") {
    if (model.job !== null) return "exists";
    model.job = newModelJob(nowMs);
    return "created";
  }
  const { job } = model;
  if (job === null) return ABSENT[command.kind];
  switch (command.kind) {
    case "confirm":
      if (!isTerminal(job.state)) job.expires = false;
      return "done";
    case "claim":
      return claim(job, nowMs);
    case "cancel":
      return cancel(job, nowMs);
    case "append":
      if (!owns(job, command.epoch)) return "fenced";
      publish(job, command, nowMs);
      return job.cancelRequested ? "cancel" : "ok";
    case "commit":
      return commit(job, command, nowMs);
    case "hand_back":
      return handBack(job, command, nowMs);
  }
}

const ABSENT: Record<Exclude<SentCommand["kind"], "create">, string> = {
  confirm: "done",
  claim: "gone",
  cancel: "gone",
  append: "fenced",
  commit: "gone",
  hand_back: "not handed back",
};

function newModelJob(nowMs: number): ModelJob {
  return {
    state: "queued",
    attempt: 0,
    crashes: 0,
    cancelRequested: false,
    queuedAtMs: nowMs,
    startedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: null,
    events: [],
    expires: true,
  };
}

/** Only the attempt that runs may write: the fence. */
function owns(job: ModelJob, epoch: number): boolean {
  return job.state === "running" && job.attempt === epoch;
}

function claim(job: ModelJob, nowMs: number): string {
  const outcome = LIFECYCLE[job.state].claim;
  if (typeof outcome === "string") return `ended ${job.state}`;
  job.state = outcome.to;
  job.attempt += 1;
  job.startedAtMs ??= nowMs;
  job.expires = false;
  if (job.events.length === 0) say(job, { type: "start", data: { attempt: job.attempt } });
  return `claimed ${job.attempt} after ${job.events.length}`;
}

function cancel(job: ModelJob, nowMs: number): string {
  const outcome = LIFECYCLE[job.state].cancel;
  if (outcome === "ask_worker") {
    job.cancelRequested = true;
    return "asked";
  }
  if (typeof outcome === "string") return "ended";
  end(job, outcome.to, nowMs);
  say(job, { type: "end", data: { status: outcome.to, usage: null, finish_reason: null } });
  return "cancelled";
}

const ENDING: Record<TerminalState, JobEvent> = {
  completed: "complete",
  failed: "fail",
  cancelled: "cancel",
  expired: "expire",
};

function commit(job: ModelJob, command: SentCommand & { kind: "commit" }, nowMs: number): string {
  const outcome = LIFECYCLE[job.state][ENDING[command.state]];
  if (!owns(job, command.epoch) || outcome === "ignore") return job.state;
  publish(job, command, nowMs);
  end(job, command.state, nowMs);
  return "committed";
}

function handBack(job: ModelJob, command: SentCommand & { kind: "hand_back" }, nowMs: number): string {
  const outcome = LIFECYCLE[job.state].hand_back;
  if (!owns(job, command.epoch) || typeof outcome === "string") return "not handed back";
  publish(job, command, nowMs);
  job.state = outcome.to;
  job.queuedAtMs = nowMs;
  if (command.engineCrashed) job.crashes += 1;
  return "handed back";
}

function end(job: ModelJob, state: JobState, nowMs: number): void {
  job.state = state;
  job.endedAtMs = nowMs;
  job.expires = true;
}

/** Numbers go on over all attempts; what is there already is passed over. */
function publish(job: ModelJob, { events }: { events: SequencedEvent[] }, nowMs: number): void {
  for (const { seq, event } of events) {
    if (seq <= job.events.length) continue;
    say(job, event);
    if (event.type === "delta") job.firstTokenAtMs ??= nowMs;
  }
}

function say(job: ModelJob, event: TokenEvent): void {
  job.events.push({ id: `${job.attempt}-${job.events.length + 1}`, event });
}
