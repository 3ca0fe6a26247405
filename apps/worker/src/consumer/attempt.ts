import type { FinishReason } from "@quern/shared/contract/generation";
import { type JobError, type JobRecord, slotsOf } from "@quern/shared/contract/job";
import type { TerminalState } from "@quern/shared/contract/lifecycle";
import { type PartialAnswer, partialAnswer } from "@quern/shared/contract/partial-answer";
import { type PublishedChoice, publishedChoices } from "@quern/shared/contract/published-choice";
import type { TokenEvent } from "@quern/shared/contract/token-event";
import { readEvents } from "@quern/shared/redis/event-stream";
import {
  type AppendReply,
  type Attempt,
  commitJob,
  type HandBack,
  type HandBackReason,
  handBackJob,
  type SequencedEvent,
} from "@quern/shared/redis/job-store";
import type { Redis } from "ioredis";
import type { Embedded, Generated } from "../protocol/engine-messages.ts";
import { toJobError } from "../protocol/job-error.ts";
import { EngineDied } from "../supervise/engine-process.ts";
import { PreparerDied, PreparerUnavailable } from "../supervise/preparation-lane.ts";
import { crashVerdict, reachedBound, type SeenDeath } from "./crash-verdict.ts";
import { isOverdue } from "./deadline-timer.ts";
import { EventPublisher } from "./event-publisher.ts";
import type { Inference } from "./inference.ts";
import type { StopReason } from "./running-jobs.ts";
import { tooManyDeaths } from "./too-many-deaths.ts";

/** How an attempt ended. `queued`, `suspect`: the job waits for its next attempt, among the others or to run alone. */
export type AttemptEnd = TerminalState | "queued" | "suspect" | "lost";

/** What the engine gave for a request, whole or cut off. */
export type Answer = Generated | Embedded;

const NO_ANSWER: PartialAnswer = { usage: null, result: null };

export interface AttemptOutcome {
  end: AttemptEnd;
  answer: Answer | null;
  error: JobError | null;
  /** How long the job waits before it goes back to its queue; absent: not at all. */
  backOffMs?: number;
}

export interface AttemptOptions {
  redis: Redis;
  record: JobRecord;
  /** The number of the last event of the job's stream when this attempt began. */
  lastSeq: number;
  /** Prepares the request and runs it in an engine. */
  inference: Inference;
  retentionSeconds: number;
  traceparent: string | null;
  /** Aborted with a StopReason. */
  stop: AbortController;
}

/** The job's end without an answer; its next attempt, from now on alone when it is made a suspect; nothing: another attempt owns it. */
type Disposition = { commit: Exclude<TerminalState, "completed"> } | { handBack: HandBackOrder } | "drop";

interface HandBackOrder {
  because: HandBackReason;
  makesSuspect?: boolean;
  backOffMs?: number;
}

/** What happens to a job whose inference did not come to its end. A death of the engine is judged by `crashVerdict`. */
const DISPOSITIONS: Record<StopReason | "refused" | "engine_down" | "preparer_down", Disposition> = {
  cancelled: { commit: "cancelled" },
  expired: { commit: "expired" },
  refused: { commit: "failed" },
  parked: { handBack: { because: "parked" } },
  draining: { handBack: { because: "given_back" } },
  gap: { handBack: { because: "given_back" } },
  engine_down: { handBack: { because: "given_back" } },
  preparer_down: { handBack: { because: "given_back", backOffMs: 1_000 } },
  lost: "drop",
};

/** What an attempt came to, before anything of its end is written. */
type Ending =
  | { kind: "answered"; answer: Answer }
  /** `answer`: what the engine gave until then; null: nothing, or it died. */
  | { kind: "interrupted"; disposition: Disposition; answer: Answer | null; error: JobError | null };

/**
 * One attempt at a claimed job, from its request to its commit. It resumes behind what earlier attempts have published.
 * Everything it writes carries its epoch: Redis refuses it once another attempt owns the job.
 */
export async function runAttempt(options: AttemptOptions): Promise<AttemptOutcome> {
  const { redis, record, lastSeq, stop } = options;
  const publisher = new EventPublisher(redis, attemptOf(record), lastSeq, (reply) =>
    stop.abort(STOP_AFTER[reply]),
  );
  const ending = await infer(options, publisher);
  if (ending.kind === "answered") return commitEnd(options, publisher, "completed", ending.answer, null);
  const { disposition, answer, error } = ending;
  if (disposition === "drop") return { end: "lost", answer, error: null };
  if ("handBack" in disposition) return handBack(options, publisher, disposition.handBack);
  if (answer === null) return commitUnfinished(options, publisher, disposition.commit, error);
  return commitEnd(options, publisher, disposition.commit, answer, error);
}

const STOP_AFTER: Record<Exclude<AppendReply, "ok">, StopReason> = {
  cancel: "cancelled",
  fenced: "lost",
  gap: "gap",
};

async function infer(options: AttemptOptions, publisher: EventPublisher): Promise<Ending> {
  const { redis, record, inference, traceparent, stop } = options;
  const published = record.attempt === 1 ? [] : publishedChoices(await readPublished(redis, record.id));
  const listener = {
    deltas: (deltas: Parameters<EventPublisher["push"]>[0]) => publisher.push(deltas),
    restarted: () => publisher.restart(),
  };
  const beganMs = performance.now();
  try {
    const answer = await inference.run({ record, published, traceparent }, listener, stop.signal);
    if (answer === null) return interrupted(DISPOSITIONS.engine_down);
    return isWhole(answer) ? { kind: "answered", answer } : interrupted(dispositionOf(stop.signal), answer);
  } catch (error) {
    if (error instanceof EngineDied || error instanceof PreparerDied) {
      const { reason } = stop.signal;
      if (reason === "cancelled" || reason === "expired") return interrupted(dispositionOf(stop.signal));
      return judgeDeath(options, publisher, published, error, performance.now() - beganMs);
    }
    if (error instanceof PreparerUnavailable) return interrupted(DISPOSITIONS.preparer_down);
    // A request that was stopped while it still waited rejects with the reason of its stop.
    if (stop.signal.aborted && error === stop.signal.reason) return interrupted(dispositionOf(stop.signal));
    return interrupted(DISPOSITIONS.refused, null, toJobError(error));
  }
}

function interrupted(
  disposition: Disposition,
  answer: Answer | null = null,
  error: JobError | null = null,
): Ending {
  return { kind: "interrupted", disposition, answer, error };
}

function dispositionOf(stopped: AbortSignal): Disposition {
  return DISPOSITIONS[stopped.reason as StopReason];
}

async function judgeDeath(
  { redis, record }: AttemptOptions,
  publisher: EventPublisher,
  before: readonly PublishedChoice[],
  error: EngineDied | PreparerDied,
  ranMs: number,
): Promise<Ending> {
  const { id, crashes, kills } = record;
  const now = publishedChoices(await readPublished(redis, id, await publisher.finish([])));
  const verdict = crashVerdict({
    ...deathOf(id, error),
    ranMs,
    gotFurther: tokenCount(now) > tokenCount(before),
    crashes,
    kills,
  });
  if (verdict.kind === "hand_back") return interrupted({ handBack: verdict });
  return interrupted({ commit: "failed" }, null, tooManyDeaths(verdict.after, error.message));
}

/** A preparer works on one request at a time: its death is laid to that one alone. */
function deathOf(
  jobId: string,
  error: EngineDied | PreparerDied,
): Pick<SeenDeath, "how" | "oomKilled" | "wasAtWork" | "wasAlone"> {
  if (error instanceof PreparerDied) {
    return { how: error.how, oomKilled: error.oomKilled, wasAtWork: true, wasAlone: true };
  }
  const { how, oomKilled, atWork } = error;
  return { how, oomKilled, wasAtWork: atWork.has(jobId), wasAlone: atWork.size === 1 };
}

/** Ends a job that is not run at all: it was cancelled while it waited, has crashed its engine too often, or is overdue. */
export function commitWithoutRunning(
  options: Pick<AttemptOptions, "redis" | "record" | "lastSeq" | "retentionSeconds">,
): Promise<AttemptOutcome> {
  const { redis, record, lastSeq } = options;
  const publisher = new EventPublisher(redis, attemptOf(record), lastSeq, () => {});
  if (record.cancelRequested) return commitUnfinished(options, publisher, "cancelled");
  if (isOverdue(record)) return commitUnfinished(options, publisher, "expired");
  const error = tooManyDeaths(reachedBound(record) ?? "crashes", "see the workers' logs");
  return commitUnfinished(options, publisher, "failed", error);
}

async function commitEnd(
  { redis, record, retentionSeconds }: Pick<AttemptOptions, "redis" | "record" | "retentionSeconds">,
  publisher: EventPublisher,
  state: TerminalState,
  answer: Answer | null,
  error: JobError | null,
  { usage, result }: Pick<Answer, "usage" | "result"> | PartialAnswer = answer ?? NO_ANSWER,
): Promise<AttemptOutcome> {
  const finishReason = finishReasonOf(result);
  const end: TokenEvent = { type: "end", data: { status: state, usage, finish_reason: finishReason } };
  const failure: TokenEvent[] =
    error === null ? [] : [{ type: "error", data: { code: error.code, message: error.message } }];
  const events = await publisher.finish([...failure, end]);
  const job = { state, usage, result, error, events, retentionSeconds };
  const reply = await commitJob(redis, attemptOf(record), job, Date.now());
  if (reply === "gap") return handBackBehindGap({ redis, record }, events);
  // A commit that Redis carried out, and whose reply was cut off, finds its own work when it is sent again.
  return { end: reply === "committed" || reply === state ? state : "lost", answer, error };
}

/** Redis has lost what the attempt published before these: the next one resumes from what is there, and ends the job then. */
async function handBackBehindGap(
  { redis, record }: Pick<AttemptOptions, "redis" | "record">,
  events: SequencedEvent[],
): Promise<AttemptOutcome> {
  const said: HandBack = { because: "given_back", events };
  const { handedBack } = await handBackJob(redis, attemptOf(record), said, Date.now());
  if (!handedBack) return { end: "lost", answer: null, error: null };
  return { end: record.suspectSinceMs === null ? "queued" : "suspect", answer: null, error: null };
}

/** Ends a job for which the engine gave no whole answer: its result is what its stream holds. */
async function commitUnfinished(
  options: Pick<AttemptOptions, "redis" | "record" | "retentionSeconds">,
  publisher: EventPublisher,
  state: Exclude<TerminalState, "completed">,
  error: JobError | null = null,
): Promise<AttemptOutcome> {
  const { redis, record } = options;
  const events = await readPublished(redis, record.id, await publisher.finish([]));
  const answer = partialAnswer(events, slotsOf(record.request));
  return commitEnd(options, publisher, state, null, error, answer);
}

/** The next attempt resumes behind all that this one has published. */
async function handBack(
  options: AttemptOptions,
  publisher: EventPublisher,
  { because, makesSuspect = false, backOffMs = 0 }: HandBackOrder,
): Promise<AttemptOutcome> {
  const { redis, record } = options;
  const said = { because, makesSuspect, events: await publisher.finish([]) };
  const { handedBack } = await handBackJob(redis, attemptOf(record), said, Date.now());
  if (!handedBack) return { end: "lost", answer: null, error: null };
  // A suspect stays one, whatever it is handed back for.
  const isSuspect = makesSuspect || record.suspectSinceMs !== null;
  return { end: isSuspect ? "suspect" : "queued", answer: null, error: null, backOffMs };
}

/** The job's stream, and what is about to be written to it. */
async function readPublished(
  redis: Redis,
  jobId: string,
  unwritten: SequencedEvent[] = [],
): Promise<TokenEvent[]> {
  const written = await readEvents(redis, jobId, null);
  return [...written, ...unwritten].map(({ event }) => event);
}

function isWhole({ result }: Answer): boolean {
  if (result === null) return false;
  return "vectors" in result || result.finishReason !== null;
}

/** Vectors have none. */
export function finishReasonOf(result: Answer["result"]): FinishReason | null {
  return result === null || "vectors" in result ? null : result.finishReason;
}

function attemptOf(record: JobRecord): Attempt {
  return { jobId: record.id, epoch: record.attempt };
}

/** Tokens of all choices. */
function tokenCount(choices: readonly PublishedChoice[]): number {
  return choices.reduce((sum, { tokens, ended }) => sum + (ended?.completionTokens ?? tokens.length), 0);
}
