import type { Usage } from "../contract/generation.ts";
import type { JobEvent, JobState, TerminalState } from "../contract/lifecycle.ts";
import { isTerminal, LIFECYCLE } from "../contract/lifecycle.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import { type HandBackReason, type SequencedEvent, SUSPECT_AFTER_LOST_ATTEMPTS } from "./job-store.ts";

/** The same for every job of the test. */
export const PROMPT_TOKENS = 3;

/**
 * What Redis should hold of a job and answer about it, said again without Redis: the lifecycle table, the fence, and
 * the numbering of events. The property test sends every command to both and compares.
 */
export interface ModelJob {
  state: JobState;
  attempt: number;
  crashes: number;
  kills: number;
  lostAttempts: number;
  parks: number;
  suspectSinceMs: number | "by Redis' clock" | null;
  /** Of the latest claim. */
  workerId: string | null;
  cancelRequested: boolean;
  queuedAtMs: number;
  startedAtMs: number | null;
  firstTokenAtMs: number | null;
  endedAtMs: number | "by Redis' clock" | null;
  usage: Usage | null;
  events: { id: string; event: TokenEvent }[];
  /** Whether the record has an expiry: until it is accepted, and from its end on. */
  expires: boolean;
}

/**
 * What reaches Redis. `events`: what the writer believes unpublished. `forget` is Redis' own doing: it was killed, and has
 * lost the last events that it had acknowledged.
 */
export type SentCommand =
  | { kind: "confirm" | "cancel" | "expire" }
  | { kind: "forget"; events: number }
  | { kind: "create"; deadline: Deadline }
  | { kind: "claim"; company: "shared" | "alone"; workerId: string | null }
  | { kind: "append"; epoch: number; events: SequencedEvent[] }
  | { kind: "commit"; epoch: number; events: SequencedEvent[]; usage: Usage | null; state: TerminalState }
  | {
      kind: "hand_back";
      epoch: number;
      events: SequencedEvent[];
      because: HandBackReason;
      makesSuspect: boolean;
    };

/** Judged by Redis' clock, so only those far from now can be foretold. */
export type Deadline = "none" | "passed" | "far off";

/** A job that is there, or null before it was created. */
export interface Model {
  job: ModelJob | null;
  deadline: Deadline;
}

/** Changes the model as the command changes Redis; returns the reply in the words of `job-store.ts`. */
export function applyToModel(model: Model, command: SentCommand, nowMs: number): string {
  if (command.kind === "create") {
    if (model.job !== null) return "exists";
    model.job = newModelJob(nowMs);
    model.deadline = command.deadline;
    return "created";
  }
  const { job } = model;
  if (job === null) return ABSENT[command.kind];
  switch (command.kind) {
    case "confirm":
      if (!isTerminal(job.state)) job.expires = false;
      return "done";
    case "claim":
      return claim(job, command, model.deadline, nowMs);
    case "expire":
      return expire(job, model.deadline);
    case "forget":
      return forget(job, command.events);
    case "cancel":
      return cancel(job, nowMs);
    case "append":
      if (!owns(job, command.epoch)) return "fenced";
      if (hasGap(job, command)) return "gap";
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
  expire: "gone",
  forget: "forgotten",
  append: "fenced",
  commit: "gone",
  hand_back: "not handed back",
};

function newModelJob(nowMs: number): ModelJob {
  return {
    state: "queued",
    attempt: 0,
    crashes: 0,
    kills: 0,
    lostAttempts: 0,
    parks: 0,
    suspectSinceMs: null,
    workerId: null,
    cancelRequested: false,
    queuedAtMs: nowMs,
    startedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: null,
    usage: null,
    events: [],
    expires: true,
  };
}

/** Only the attempt that runs may write: the fence. */
function owns(job: ModelJob, epoch: number): boolean {
  return job.state === "running" && job.attempt === epoch;
}

function claim(
  job: ModelJob,
  { company, workerId }: SentCommand & { kind: "claim" },
  deadline: Deadline,
  nowMs: number,
): string {
  const outcome = LIFECYCLE[job.state].claim;
  if (typeof outcome === "string") return `ended ${job.state}`;
  if (job.state === "queued" && deadline === "passed") return "overdue";
  if (job.state === "running" && (workerId === null || workerId !== job.workerId)) countLoss(job);
  if (job.suspectSinceMs !== null && company === "shared") {
    job.state = "queued";
    job.queuedAtMs = nowMs;
    return "suspect";
  }
  job.state = outcome.to;
  job.attempt += 1;
  job.workerId = workerId;
  job.startedAtMs ??= nowMs;
  job.expires = false;
  if (job.events.length === 0) say(job, { type: "start", data: { attempt: job.attempt } });
  return `claimed ${job.attempt} after ${job.events.length}`;
}

/** Counts an attempt that another worker takes over. */
function countLoss(job: ModelJob): void {
  job.lostAttempts += 1;
  const said = job.events.filter(({ id }) => id.startsWith(`${job.attempt}-`)).map(({ event }) => event.type);
  if (said.find((type) => type !== "start") === "delta") {
    job.kills = 0;
    return;
  }
  job.kills += 1;
  if (job.kills >= SUSPECT_AFTER_LOST_ATTEMPTS) job.suspectSinceMs ??= "by Redis' clock";
}

function expire(job: ModelJob, deadline: Deadline): string {
  const outcome = LIFECYCLE[job.state].expire;
  if (outcome === "ask_worker") return "running";
  if (typeof outcome === "string") return "ended";
  if (deadline !== "passed") return "early";
  end(job, outcome.to, "by Redis' clock");
  return outcome.to;
}

/** The first event stays, and so does what a job has ended with. */
function forget(job: ModelJob, events: number): string {
  if (!isTerminal(job.state)) job.events = job.events.slice(0, Math.max(1, job.events.length - events));
  return "forgotten";
}

function cancel(job: ModelJob, nowMs: number): string {
  const outcome = LIFECYCLE[job.state].cancel;
  if (outcome === "ask_worker") {
    job.cancelRequested = true;
    return "asked";
  }
  if (typeof outcome === "string") return "ended";
  end(job, outcome.to, nowMs);
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
  if (hasGap(job, command)) return "gap";
  publish(job, command, nowMs);
  job.usage = command.usage;
  job.state = command.state;
  job.endedAtMs = nowMs;
  job.expires = true;
  return "committed";
}

function handBack(job: ModelJob, command: SentCommand & { kind: "hand_back" }, nowMs: number): string {
  const outcome = LIFECYCLE[job.state].hand_back;
  if (!owns(job, command.epoch) || typeof outcome === "string") return "not handed back";
  if (!hasGap(job, command)) publish(job, command, nowMs);
  job.state = outcome.to;
  job.queuedAtMs = nowMs;
  if (command.because === "parked") job.parks += 1;
  if (command.because === "crashed") job.crashes += 1;
  if (command.because === "killed") job.kills += 1;
  if (command.because === "killed_further") job.kills = 0;
  if (command.makesSuspect) job.suspectSinceMs ??= "by Redis' clock";
  return "handed back";
}

/** Without a worker that could say it: its usage is that of the deltas since the last restart, of a token each. */
function end(job: ModelJob, state: JobState, endedAtMs: NonNullable<ModelJob["endedAtMs"]>): void {
  const lastRestart = job.events.findLastIndex(({ event }) => event.type === "restart");
  const deltas = job.events.slice(lastRestart + 1).filter(({ event }) => event.type === "delta");
  if (deltas.length > 0) {
    const tokens = { completionTokens: deltas.length, reasoningTokens: 0, cachedTokens: 0 };
    job.usage = { promptTokens: PROMPT_TOKENS, ...tokens };
  }
  job.state = state;
  job.endedAtMs = endedAtMs;
  job.expires = true;
  say(job, { type: "end", data: { status: state, usage: job.usage, finish_reason: null } });
}

/** Events before the first one are missing: nothing is written behind a gap. */
function hasGap(job: ModelJob, { events }: { events: SequencedEvent[] }): boolean {
  return (events[0]?.seq ?? 0) > job.events.length + 1;
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
