import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { isPassing } from "../contract/errors.ts";
import type { Usage } from "../contract/generation.ts";
import type { JobError, JobRecord, JobResult, NewJob } from "../contract/job.ts";
import type { JobState, TerminalState } from "../contract/lifecycle.ts";
import { eventsKey, jobIndexKey, jobKey, webhookKey } from "../contract/names.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import { newJobFields, parseJobRecord } from "./job-fields.ts";
import { keysOfEnd } from "./line-keys.ts";
import { pairsOf } from "./replies.ts";
import { loadScript, runScript } from "./script.ts";
import { endUnanswered } from "./unanswered-end.ts";

const CREATE = loadScript("create_job.lua");
const CONFIRM = loadScript("confirm_job.lua");
const CLAIM = loadScript("claim_job.lua");
const APPEND = loadScript("append_events.lua");
const COMMIT = loadScript("commit_job.lua");
const HAND_BACK = loadScript("hand_back_job.lua");
const CANCEL = loadScript("cancel_job.lua");

/** Longer than any enqueue can take, so only a submitter that died leaves its record to expire. */
const UNCONFIRMED_TTL_SECONDS = 3_600;

/** One attempt at a job: what every write of a worker is fenced by. */
export interface Attempt {
  jobId: string;
  epoch: number;
}

/** An event and its place in the job's stream, counted over all attempts; its stream id is `<epoch>-<seq>`. */
export interface SequencedEvent {
  seq: number;
  event: TokenEvent;
}

export async function createJob(redis: Redis, job: NewJob): Promise<{ created: boolean }> {
  const created = await runScript(
    redis,
    CREATE,
    [jobKey(job.id), webhookKey(job.id)],
    [UNCONFIRMED_TTL_SECONDS, job.webhook?.secret ?? "", ...newJobFields(job)],
  );
  return { created: created === 1 };
}

/** Called once the job is in its queue: from here on it is accepted, and stays until it ended. */
export async function confirmJob(redis: Redis, job: Pick<NewJob, "id" | "tenant">): Promise<void> {
  await Promise.all([
    runScript(redis, CONFIRM, [jobKey(job.id), webhookKey(job.id)], []),
    redis.zadd(jobIndexKey(job.tenant), 0, job.id),
  ]);
}

export async function readJob(redis: Redis, jobId: string): Promise<JobRecord | null> {
  return parseJobRecord(await redis.hgetall(jobKey(jobId)));
}

/** null: there is no such job. */
export async function readJobState(redis: Redis, jobId: string): Promise<JobState | null> {
  return (await redis.hget(jobKey(jobId), "state")) as JobState | null;
}

export type Claim =
  /** `lastSeq`: of the stream as it stands; the attempt's own events go on behind it. */
  | { kind: "claimed"; record: JobRecord; lastSeq: number }
  /** Likewise, but this process can't make anything of its record. */
  | { kind: "unreadable"; epoch: number; crashes: number; lastSeq: number; fault: Error }
  | { kind: "ended"; state: JobState }
  /** Its deadline passed while it was queued: `expireQueuedJob` ends it. */
  | { kind: "overdue" }
  /** It waits in the queue of suspects from now on. */
  | { kind: "suspect" }
  | { kind: "gone" };

/**
 * A job whose attempt is lost with its worker may be the reason from the second kill in a row on. Each loss costs a lease,
 * so fewer are waited for than kills of engines.
 */
export const SUSPECT_AFTER_LOST_ATTEMPTS = 2;

export interface Claimant {
  /** Whether the engine has other jobs beside it, which no suspect may have. */
  company: "shared" | "alone";
  /** null: one that is never met again. */
  workerId: string | null;
}
const SOME_WORKER: Claimant = { company: "shared", workerId: null };

export async function claimJob(
  redis: Redis,
  jobId: string,
  nowMs: number,
  { company, workerId }: Claimant = SOME_WORKER,
  token: string = randomUUID(),
): Promise<Claim> {
  const [kind, ...rest] = (await runScript(
    redis,
    CLAIM,
    [jobKey(jobId), eventsKey(jobId), webhookKey(jobId)],
    [nowMs, company, SUSPECT_AFTER_LOST_ATTEMPTS, token, workerId ?? token],
  )) as string[];
  if (kind === "ended") return { kind, state: rest[0] as JobState };
  if (kind === "overdue") return { kind };
  if (kind === "suspect") return { kind };
  if (kind !== "claimed") return { kind: "gone" };
  const [seq, ...fields] = rest;
  const lastSeq = Number(seq);
  const hash: Record<string, string> = Object.fromEntries(pairsOf(fields));
  try {
    const record = parseJobRecord(hash);
    return record === null ? { kind: "gone" } : { kind, record, lastSeq };
  } catch (error) {
    const { attempt, crashes = 0 } = hash;
    return {
      kind: "unreadable",
      epoch: Number(attempt),
      crashes: Number(crashes),
      lastSeq,
      fault: error as Error,
    };
  }
}

/** What decides whether there is room for a job, and where it waits. */
export type JobDemand = Pick<JobRecord, "slots" | "parks" | "suspectSinceMs">;

/** Of a job that may be gone: then it asks for one slot, and its claim tells. */
export async function readJobDemand(redis: Redis, jobId: string): Promise<JobDemand> {
  const [slots, parks, since] = await redis.hmget(jobKey(jobId), "slots", "parks", "suspectSinceMs");
  return {
    slots: Number(slots ?? 1),
    parks: Number(parks ?? 0),
    suspectSinceMs: since == null ? null : Number(since),
  };
}

/**
 * `cancel`: written, and the job is wanted cancelled. Nothing was written: `fenced` when another attempt owns the job, `gap`
 * when Redis has lost events that were published before these.
 */
export type AppendReply = "ok" | "cancel" | "fenced" | "gap";

export async function appendEvents(
  redis: Redis,
  attempt: Attempt,
  events: SequencedEvent[],
  nowMs: number,
): Promise<AppendReply> {
  const { jobId, epoch } = attempt;
  const reply = await runScript(
    redis,
    APPEND,
    [jobKey(jobId), eventsKey(jobId)],
    [epoch, nowMs, ...events.flatMap(eventArgs)],
  );
  return reply as AppendReply;
}

export interface JobEnd {
  state: TerminalState;
  usage: Usage | null;
  result: JobResult | null;
  error: JobError | null;
  /** What is not yet published, `end` the last. */
  events: SequencedEvent[];
  retentionSeconds: number;
}

/**
 * `committed`, or why nothing changed: the job is gone, ended already, or runs under another epoch; `gap`: Redis has lost
 * events that were published before these.
 */
export async function commitJob(
  redis: Redis,
  attempt: Attempt,
  end: JobEnd,
  nowMs: number,
): Promise<"committed" | "gone" | "gap" | JobState> {
  const { jobId, epoch } = attempt;
  const reply = await runScript(redis, COMMIT, keysOfEnd(jobId), [
    epoch,
    end.state,
    nowMs,
    end.retentionSeconds,
    toJson(end.usage),
    toJson(end.result),
    toJson(end.error),
    end.error !== null && isPassing(end.error.code) ? "passing" : "",
    ...end.events.flatMap(eventArgs),
  ]);
  return reply as "committed" | "gone" | "gap" | JobState;
}

/**
 * `given_back`: nobody's fault. `crashed`, `killed`: its engine died by itself, or from outside. `killed_further`: from outside
 * after the job had got further, so that its row of kills is over.
 */
export type HandBackReason = "given_back" | "parked" | "crashed" | "killed" | "killed_further";

export interface HandBack {
  because: HandBackReason;
  /** Whether the job runs alone from now on. Absent: it stays what it is. */
  makesSuspect?: boolean;
  /** What the attempt has not published yet. */
  events: SequencedEvent[];
}

/**
 * Puts a running job back to `queued`. Where Redis has lost events that were published before these, they are dropped. The
 * caller returns the BullMQ job to its queue as well.
 */
export async function handBackJob(
  redis: Redis,
  attempt: Attempt,
  { because, makesSuspect = false, events }: HandBack,
  nowMs: number,
): Promise<{ handedBack: boolean }> {
  const { jobId, epoch } = attempt;
  const suspect = makesSuspect ? "suspect" : "";
  const args = [epoch, nowMs, because, suspect, ...events.flatMap(eventArgs)];
  const reply = await runScript(redis, HAND_BACK, [jobKey(jobId), eventsKey(jobId)], args);
  return { handedBack: reply === 1 };
}

/** Hands back a job whose attempt nobody makes any more. */
export function giveUpAttempt(
  redis: Redis,
  attempt: Attempt,
  because: HandBackReason,
  nowMs: number,
): Promise<{ handedBack: boolean }> {
  return handBackJob(redis, attempt, { because, events: [] }, nowMs);
}

/**
 * Cancels a queued job; one that has published something keeps it as its answer. `asked`: it runs, and its worker has to
 * be told (`CANCEL_CHANNEL`).
 */
export async function cancelJob(
  redis: Redis,
  jobId: string,
  options: { retentionSeconds: number },
  nowMs: number,
): Promise<"gone" | "ended" | "cancelled" | "asked"> {
  const { retentionSeconds } = options;
  const reply = await endUnanswered(redis, jobId, (answer) =>
    runScript(redis, CANCEL, keysOfEnd(jobId), [nowMs, retentionSeconds, ...answer]),
  );
  return reply as "gone" | "ended" | "cancelled" | "asked";
}

function toJson(value: object | null): string {
  return value === null ? "" : JSON.stringify(value);
}

function eventArgs({ seq, event }: SequencedEvent): (string | number)[] {
  return [seq, event.type, JSON.stringify(event.data)];
}
