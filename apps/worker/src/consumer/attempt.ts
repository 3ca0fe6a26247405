import type { FinishReason } from "@quern/shared/contract/generation";
import { isEmbeddingRequest, type JobError, type JobRecord, slotsOf } from "@quern/shared/contract/job";
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
import { toJobError } from "../engine/job-error.ts";
import type { Embedded, Generated } from "../engine/protocol.ts";
import { EngineDied, type EngineProcess } from "../engine-process/engine-process.ts";
import { crashVerdict, reachedBound } from "./crash-verdict.ts";
import { isOverdue } from "./deadline-timer.ts";
import { EventPublisher } from "./event-publisher.ts";
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
  engine: EngineProcess;
  retentionSeconds: number;
  traceparent: string | null;
  /** Aborted with a StopReason. */
  stop: AbortController;
}

/**
 * One attempt at a claimed job, from its request to its commit:
 *
 * It goes on behind what earlier attempts have published.
 *
 *   engine ──ended──▶ commit completed            stopped: cancelled ▶ commit cancelled, with what there is
 *     │  └──refused──▶ commit failed                       expired   ▶ commit expired, with what there is
 *     │                                                    draining, parked, gap ▶ hand back
 *     └──died───────▶ hand back, the culprit: commit failed          lost ▶ nothing
 *
 * Everything it writes carries its epoch, so Redis turns it away once another attempt owns the job.
 */
export async function runAttempt(options: AttemptOptions): Promise<AttemptOutcome> {
  const { redis, record, lastSeq, engine, traceparent, stop } = options;
  const publisher = new EventPublisher(redis, attemptOf(record), lastSeq, (reply) =>
    stop.abort(STOP_AFTER[reply]),
  );
  const { id, request, tenant } = record;
  const published = record.attempt === 1 ? [] : publishedChoices(await readPublished(redis, id));
  const beganMs = performance.now();
  let answer: Answer;
  try {
    answer = isEmbeddingRequest(request)
      ? await engine.embed({ id, request, traceparent }, stop.signal)
      : await engine.generate(
          {
            id,
            class: record.class,
            isFollowed: record.line === null,
            request,
            traceparent,
            tenant,
            published,
          },
          { deltas: (deltas) => publisher.push(deltas), restarted: () => publisher.restart() },
          stop.signal,
        );
  } catch (error) {
    if (!(error instanceof EngineDied))
      return commitUnfinished(options, publisher, "failed", toJobError(error));
    const { reason } = stop.signal;
    if (reason === "cancelled" || reason === "expired") return commitUnfinished(options, publisher, reason);
    const now = publishedChoices(await readPublished(redis, id, await publisher.finish([])));
    const verdict = crashVerdict({
      how: error.how,
      oomKilled: error.oomKilled,
      wasAtWork: error.atWork.has(id),
      wasAlone: error.atWork.size === 1,
      ranMs: performance.now() - beganMs,
      gotFurther: tokenCount(now) > tokenCount(published),
      crashes: record.crashes,
      kills: record.kills,
    });
    if (verdict.kind === "hand_back") return handBack(options, publisher, verdict);
    return commitUnfinished(options, publisher, "failed", tooManyDeaths(verdict.after, error.message));
  }
  if (isWhole(answer)) return commitEnd(options, publisher, "completed", answer, null);
  switch (stop.signal.reason as StopReason) {
    case "cancelled":
      return commitEnd(options, publisher, "cancelled", answer, null);
    case "expired":
      return commitEnd(options, publisher, "expired", answer, null);
    case "parked":
      return handBack(options, publisher, { because: "parked" });
    case "draining":
    case "gap":
      return handBack(options, publisher, { because: "given_back" });
    case "lost":
      return { end: "lost", answer, error: null };
  }
}

const STOP_AFTER: Record<Exclude<AppendReply, "ok">, StopReason> = {
  cancel: "cancelled",
  fenced: "lost",
  gap: "gap",
};

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

/** Redis has lost what the attempt published before these: the next one goes on from what is there, and ends the job then. */
async function handBackBehindGap(
  { redis, record }: Pick<AttemptOptions, "redis" | "record">,
  events: SequencedEvent[],
): Promise<AttemptOutcome> {
  const said: HandBack = { because: "given_back", events };
  const { handedBack } = await handBackJob(redis, attemptOf(record), said, Date.now());
  if (!handedBack) return { end: "lost", answer: null, error: null };
  return { end: record.suspectSinceMs === null ? "queued" : "suspect", answer: null, error: null };
}

/** Ends a job whose engine gave no answer in the end: its result is what its stream tells. */
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

interface HandBackOrder {
  because: HandBackReason;
  makesSuspect?: boolean;
  backOffMs?: number;
}

/** The next attempt goes on behind all that this one has published. */
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

/** Of all choices. */
function tokenCount(choices: readonly PublishedChoice[]): number {
  return choices.reduce((sum, { tokens, ended }) => sum + (ended?.completionTokens ?? tokens.length), 0);
}
