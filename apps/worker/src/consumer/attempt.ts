import { QuernError } from "@quern/shared/contract/errors";
import type { FinishReason, Usage } from "@quern/shared/contract/generation";
import type { JobError, JobRecord, JobResult } from "@quern/shared/contract/job";
import type { TerminalState } from "@quern/shared/contract/lifecycle";
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
import { type PublishedChoice, partialAnswer, publishedChoices } from "../protocol/published-choice.ts";
import { EngineDied } from "../supervise/engine-process.ts";
import { PreparerDied } from "../supervise/preparation-lane.ts";
import { type CrashVerdict, crashVerdict, MAX_CRASHES } from "./crash-verdict.ts";
import { isOverdue } from "./deadline-timer.ts";
import { EventPublisher } from "./event-publisher.ts";
import type { Inference } from "./inference.ts";
import type { StopReason } from "./running-jobs.ts";

/** How an attempt ended. `queued`, `suspect`: the job waits for its next attempt, among the others or to run alone. */
export type AttemptEnd = TerminalState | "queued" | "suspect" | "lost";

/** What the engine gave for a request, whole or cut off. */
export type Answer = Generated | Embedded;

interface PartialResult {
  usage: Usage | null;
  result: JobResult | null;
}
const NO_RESULT: PartialResult = { usage: null, result: null };

export interface AttemptOutcome {
  end: AttemptEnd;
  answer: Answer | null;
  error: JobError | null;
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

/** What happens to a job with the end of an attempt; `drop`: another attempt owns the job. */
type Disposition = { commit: TerminalState } | { handBack: HandBackReason } | "drop";

/** Why inference ended without a whole answer; each has one disposition. */
type Interruption = StopReason | CrashVerdict | "refused";

const DISPOSITIONS: Record<Interruption, Disposition> = {
  cancelled: { commit: "cancelled" },
  expired: { commit: "expired" },
  parked: { handBack: "parked" },
  draining: { handBack: "given_back" },
  gap: { handBack: "given_back" },
  lost: "drop",
  bystander: { handBack: "given_back" },
  again: { handBack: "crashed" },
  suspect: { handBack: "suspected" },
  culprit: { commit: "failed" },
  refused: { commit: "failed" },
};

/** What an attempt came to before anything of its end is written. */
type Ending =
  | { kind: "answered"; answer: Answer }
  /** `answer`: what the engine gave until then; null: nothing, or it died. */
  | { kind: "interrupted"; by: Interruption; answer: Answer | null; error: JobError | null };

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
  const { answer, error } = ending;
  const disposition = DISPOSITIONS[ending.by];
  if (disposition === "drop") return { end: "lost", answer, error: null };
  if ("handBack" in disposition) return handBack(options, publisher, disposition.handBack, answer);
  if (answer === null && error === null) return commitUnfinished(options, publisher, disposition.commit);
  return commitEnd(options, publisher, disposition.commit, answer, error);
}

const STOP_AFTER: Record<Exclude<AppendReply, "ok">, StopReason> = {
  cancel: "cancelled",
  fenced: "lost",
  gap: "gap",
};

async function infer(options: AttemptOptions, publisher: EventPublisher): Promise<Ending> {
  const { redis, record, inference, traceparent, stop } = options;
  const stopped = (answer: Answer | null): Ending => {
    return { kind: "interrupted", by: stop.signal.reason as StopReason, answer, error: null };
  };
  const published = record.attempt === 1 ? [] : await readPublished(redis, record.id);
  try {
    const listener = {
      deltas: (deltas: Parameters<EventPublisher["push"]>[0]) => publisher.push(deltas),
      restarted: () => publisher.restart(),
    };
    const answer = await inference.run({ record, published, traceparent }, listener, stop.signal);
    if (answer === null) return { kind: "interrupted", by: "bystander", answer: null, error: null };
    return isWhole(answer) ? { kind: "answered", answer } : stopped(answer);
  } catch (error) {
    if (error instanceof EngineDied || error instanceof PreparerDied) {
      const { reason } = stop.signal;
      if (reason === "cancelled" || reason === "expired") return stopped(null);
      const by = crashVerdict(record.id, record.crashes, deathOf(record.id, error));
      return {
        kind: "interrupted",
        by,
        answer: null,
        error: by === "culprit" ? crashedTooOften(error.message) : null,
      };
    }
    // A request that was stopped while it still waited rejects with the reason of its stop.
    if (stop.signal.aborted && error === stop.signal.reason) return stopped(null);
    return { kind: "interrupted", by: "refused", answer: null, error: toJobError(error) };
  }
}

/** A preparer works on one request at a time: its death is laid to that one alone. */
function deathOf(jobId: string, error: EngineDied | PreparerDied): Pick<EngineDied, "how" | "atWork"> {
  if (error instanceof EngineDied) return error;
  return { how: "crashed", atWork: new Set([jobId]) };
}

/** Ends a job that is not run at all: it was cancelled while it waited, has crashed its engine too often, or is overdue. */
export function commitWithoutRunning(
  options: Pick<AttemptOptions, "redis" | "record" | "lastSeq" | "retentionSeconds">,
): Promise<AttemptOutcome> {
  const { redis, record, lastSeq } = options;
  const publisher = new EventPublisher(redis, attemptOf(record), lastSeq, () => {});
  if (record.cancelRequested) return commitUnfinished(options, publisher, "cancelled");
  if (isOverdue(record)) return commitUnfinished(options, publisher, "expired");
  return commitEnd(options, publisher, "failed", null, crashedTooOften("see the worker's log"));
}

async function commitEnd(
  { redis, record, retentionSeconds }: Pick<AttemptOptions, "redis" | "record" | "retentionSeconds">,
  publisher: EventPublisher,
  state: TerminalState,
  answer: Answer | null,
  error: JobError | null,
  { usage, result }: PartialResult = answer ?? NO_RESULT,
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
  const said: HandBack = { because: "given_back", usage: null, result: null, events };
  const { handedBack } = await handBackJob(redis, attemptOf(record), said, Date.now());
  if (!handedBack) return { end: "lost", answer: null, error: null };
  return { end: record.suspectSinceMs === null ? "queued" : "suspect", answer: null, error: null };
}

/** Ends a job for which the engine gave no answer in the end: its result is what was published. */
async function commitUnfinished(
  options: Pick<AttemptOptions, "redis" | "record" | "retentionSeconds">,
  publisher: EventPublisher,
  state: TerminalState,
): Promise<AttemptOutcome> {
  return commitEnd(options, publisher, state, null, null, await publishedSoFar(options, publisher));
}

/** With all that was generated, for the next attempt to resume behind it. `answer` null: the engine died, or never had the job. */
async function handBack(
  options: AttemptOptions,
  publisher: EventPublisher,
  because: HandBackReason,
  answer: Answer | null,
): Promise<AttemptOutcome> {
  const { redis, record } = options;
  const { usage, result } = answer ?? (await publishedSoFar(options, publisher));
  const said = { because, usage, result, events: await publisher.finish([]) };
  const { handedBack } = await handBackJob(redis, attemptOf(record), said, Date.now());
  if (!handedBack) return { end: "lost", answer: null, error: null };
  // A suspect stays one, whatever it is handed back for.
  const isSuspect = because === "suspected" || record.suspectSinceMs !== null;
  return { end: isSuspect ? "suspect" : "queued", answer: null, error: null };
}

/** What the stream holds, and what is about to be written to it. */
async function publishedSoFar(
  { redis, record }: Pick<AttemptOptions, "redis" | "record">,
  publisher: EventPublisher,
): Promise<PartialResult> {
  return partialAnswer(await readPublished(redis, record.id, await publisher.finish([])));
}

async function readPublished(
  redis: Redis,
  jobId: string,
  unwritten: SequencedEvent[] = [],
): Promise<PublishedChoice[]> {
  const written = await readEvents(redis, jobId, null);
  return publishedChoices([...written, ...unwritten].map(({ event }) => event));
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

function crashedTooOften(cause: string): JobError {
  return toJobError(
    new QuernError("engine_crashed", `the engine died ${MAX_CRASHES} times while it ran this job: ${cause}`),
  );
}
